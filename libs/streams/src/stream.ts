import type { AgentError } from '@agent/contracts'

import type { FrameType } from './frame.ts'
import { encodeHead } from './payloads.ts'
import { ReceiveWindow, SendCredit } from './window.ts'

/** Above this much unsent data `write` says stop; below a quarter of it `onDrain` says go on. */
export const highWaterBytes = 262_144

/** What the owner of a stream wants to hear. Nothing is called after `onReset`, or after both ends ended. */
export type StreamHandler = {
  /** The peer's response head; at most once, before its data. */
  onHead?(head: unknown): void
  /**
   * Bytes for the consumer, which calls `stream.consume(bytes.length)` once it took them. They are a view of a whole
   * message: who keeps them keeps `compactBytes` of them.
   */
  onData(bytes: Buffer): void
  /** The peer sends no more. */
  onEnd(): void
  /** The stream is over before its time: the peer reset it, or the connection is gone. */
  onReset(error: AgentError): void
  /** `write` returned false before and may be called again. */
  onDrain?(): void
}

/** What a stream needs of its session. */
export type StreamOwner = {
  now(): number
  /** The stream has something to send. */
  ready(stream: Stream): void
  /** The stream's consumer took bytes; the session grants credit for it. */
  consumed(stream: Stream, bytes: number): void
  /** The stream was reset here: tell the peer, forget it. */
  abandoned(stream: Stream, error: AgentError): void
}

/** One stream of a session: a head each way, bytes each way, an end each way. */
export class Stream {
  /** 0 until its OPEN frame is on its way: ids follow the order on the wire. */
  id = 0
  handler: StreamHandler
  readonly sendCredit: SendCredit
  readonly receiveWindow: ReceiveWindow
  /** A head that waits to be sent. */
  head: { type: FrameType; bytes: Buffer } | undefined
  readonly chunks: Uint8Array[] = []
  pendingBytes = 0
  /** Our end is queued behind the pending bytes. */
  ending = false
  ended = false
  peerEnded = false
  peerSentHead = false
  closed = false
  /** Listed by the SYNC that the peer is sending. */
  listed = false
  /** In one of the session's send queues. */
  queued = false
  #blocked = false
  readonly #owner: StreamOwner

  constructor(
    owner: StreamOwner,
    handler: StreamHandler,
    windows: { send: number; receive: number; receiveMax: number },
  ) {
    this.#owner = owner
    this.handler = handler
    this.sendCredit = new SendCredit(windows.send)
    this.receiveWindow = new ReceiveWindow(windows.receive, windows.receiveMax, owner.now())
  }

  /** Queues a head; a head over 64 KiB throws `headers-too-large`. */
  sendHead(type: FrameType, head: object): void {
    if (this.closed || this.ending) return
    this.head = { type, bytes: encodeHead(head) }
    this.#owner.ready(this)
  }

  /** Queues bytes; false means wait for `onDrain`. The bytes belong to the stream from now on. */
  write(bytes: Uint8Array): boolean {
    if (this.closed || this.ending) return false
    if (bytes.length > 0) {
      this.chunks.push(bytes)
      this.pendingBytes += bytes.length
      this.#owner.ready(this)
    }
    this.#blocked = this.pendingBytes > highWaterBytes
    return !this.#blocked
  }

  /** Sends what is queued, then ends our direction. */
  end(bytes?: Uint8Array): void {
    if (this.closed || this.ending) return
    if (bytes !== undefined) this.write(bytes)
    this.ending = true
    this.#owner.ready(this)
  }

  /** Ends both directions at once and tells the peer why; what is queued is dropped. */
  reset(error: AgentError): void {
    if (!this.closed) this.#owner.abandoned(this, error)
  }

  /** The consumer took this many bytes: the peer may send as many more. */
  consume(bytes: number): void {
    if (!this.closed && bytes > 0) this.#owner.consumed(this, bytes)
  }

  /** Takes the next piece to send, at most `limit` bytes and never more than is queued. */
  takeChunk(limit: number): Uint8Array {
    const chunk = this.chunks[0] as Uint8Array
    if (chunk.length <= limit) {
      this.chunks.shift()
      this.pendingBytes -= chunk.length
      return chunk
    }
    this.chunks[0] = chunk.subarray(limit)
    this.pendingBytes -= limit
    return chunk.subarray(0, limit)
  }

  /** Called after sending: lets a blocked writer go on. */
  drained(): void {
    if (!this.#blocked || this.pendingBytes > highWaterBytes / 4) return
    this.#blocked = false
    if (!this.closed && !this.ending) this.handler.onDrain?.()
  }
}
