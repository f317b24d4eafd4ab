import type { Windows } from '@agent/contracts'

import { encodeFrame, FrameType } from './frame.ts'
import { encodeUint32 } from './payloads.ts'
import type { Stream } from './stream.ts'
import { ReceiveWindow } from './window.ts'

/** Half of the session's window may wait unread before the streams' windows stop growing; at three quarters the slowest stream ends. */
const noGrowthShare = 0.5
const shedShare = 0.75

/** The credit one session owes its peer, for each stream and in all. */
export class Grants {
  readonly #now: () => number
  readonly #sessionBytes: number
  readonly #window: ReceiveWindow
  readonly #owed = new Map<Stream, number>()
  #sessionOwed = 0

  constructor(windows: Windows, now: () => number) {
    this.#now = now
    this.#sessionBytes = windows.session
    this.#window = new ReceiveWindow(windows.session, windows.session, now())
  }

  /** Received and not consumed, over all streams. */
  get unconsumed(): number {
    return this.#window.unconsumed
  }

  /** So much waits unread that a stream must go. */
  get isShort(): boolean {
    return this.unconsumed >= this.#sessionBytes * shedShare
  }

  /** Counts bytes that arrived; more than was granted throws `flow-control`. */
  received(bytes: number): void {
    this.#window.receive(bytes)
  }

  /** A stream's consumer took bytes; true when there is credit to send. */
  consumed(stream: Stream, bytes: number, rttMs: number): boolean {
    const mayGrow = this.unconsumed < this.#sessionBytes * noGrowthShare
    const granted = stream.receiveWindow.consume(bytes, this.#now(), rttMs, mayGrow)
    const isOwed = granted > 0 && !stream.peerEnded
    if (isOwed) this.#owed.set(stream, granted + (this.#owed.get(stream) ?? 0))
    return this.release(bytes) || isOwed
  }

  /** Gives bytes back to the session's window alone; true when there is credit to send. */
  release(bytes: number): boolean {
    const granted = bytes === 0 ? 0 : this.#window.consume(bytes, this.#now(), 0, false)
    this.#sessionOwed += granted
    return granted > 0
  }

  /** The stream is over: what its consumer never took is given back. True when there is credit to send. */
  forget(stream: Stream): boolean {
    this.#owed.delete(stream)
    const { unconsumed } = stream.receiveWindow
    stream.receiveWindow.unconsumed = 0
    return this.release(unconsumed)
  }

  /** CREDIT frames for all that is owed. Asked for when there is room for them: many grants become one frame. */
  *frames(): Iterable<Buffer> {
    for (const [stream, bytes] of this.#owed) {
      yield encodeFrame(FrameType.credit, stream.id, encodeUint32(bytes))
    }
    this.#owed.clear()
    if (this.#sessionOwed === 0) return
    yield encodeFrame(FrameType.credit, 0, encodeUint32(this.#sessionOwed))
    this.#sessionOwed = 0
  }

  clear(): void {
    this.#owed.clear()
  }
}
