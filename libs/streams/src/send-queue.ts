import { AgentError } from '@agent/contracts'

import { frameHeaderBytes, maxFramePayloadBytes, writeFrameHeader, FrameType } from './frame.ts'
import type { Stream } from './stream.ts'
import type { SendCredit } from './window.ts'

/** A stream with no more than this to send counts as interactive and goes first. */
const interactiveBytes = 4_096
/**
 * A batch: what goes into one WebSocket message at most, beyond one frame. With the eight bytes that a WebSocket puts
 * before it, it fills four TLS records and leaves no crumb for a fifth, which would cost the peer as much as a full one.
 */
const batchBytes = 65_528
/** What one bulk stream sends before the next has its turn: two of them share a batch. */
const bulkQuantumBytes = batchBytes / 2 - frameHeaderBytes
/** Of each batch, interactive streams leave this to bulk ones, so that neither can starve the other. */
const bulkReserveBytes = 16_384
/** A peer that makes us answer but does not read must not fill our memory. */
const maxControlBytes = 1_048_576

type SendQueueOptions = {
  sessionCredit: SendCredit
  /** Called before a stream's OPEN frame is written: gives it its id. */
  assignId(stream: Stream): void
  /** Called after a stream's last frame was written. */
  onEnded(stream: Stream): void
  /** Called after a stream's turn: its writer may go on. */
  onServed(stream: Stream): void
}

/**
 * Decides what goes on the wire next: control frames, then small interactive streams, then bulk streams in turn.
 */
export class SendQueue {
  readonly #options: SendQueueOptions
  #control: Buffer[] = []
  #controlBytes = 0
  #interactive: Stream[] = []
  #bulk: Stream[] = []

  constructor(options: SendQueueOptions) {
    this.#options = options
  }

  /** Queues a control frame ahead of all streams; throws `protocol` when the peer lets too many pile up. */
  addControl(frame: Buffer): void {
    this.#control.push(frame)
    this.#controlBytes += frame.length
    if (this.#controlBytes > maxControlBytes) {
      throw new AgentError('protocol', 'the peer causes answers but does not read them')
    }
  }

  /** Queues a stream unless it is queued or has nothing it may send. */
  add(stream: Stream): void {
    if (stream.queued || !this.#canSend(stream)) return
    stream.queued = true
    const small = stream.pendingBytes <= interactiveBytes
    ;(small ? this.#interactive : this.#bulk).push(stream)
  }

  get isEmpty(): boolean {
    return this.#control.length + this.#interactive.length + this.#bulk.length === 0
  }

  /** The next batch of whole frames in one buffer of `allocate`, or nothing; `grants` go with it at once. */
  take(allocate: (bytes: number) => Buffer, grants: Iterable<Buffer>): Buffer | undefined {
    const batch = new Batch()
    for (const frame of this.#control) batch.addRaw(frame)
    this.#control = []
    this.#controlBytes = 0
    for (const frame of grants) batch.addRaw(frame)
    const reserved = this.#bulk.length > 0 ? bulkReserveBytes : 0
    this.#serve(this.#interactive, batch, batchBytes - reserved, interactiveBytes)
    this.#serve(this.#bulk, batch, batchBytes, bulkQuantumBytes)
    return batch.bytes > 0 ? batch.join(allocate) : undefined
  }

  /** Everything is over: forgets what was queued. */
  clear(): void {
    this.#control = []
    this.#controlBytes = 0
    this.#interactive = []
    this.#bulk = []
  }

  #serve(queue: Stream[], batch: Batch, limit: number, quantum: number): void {
    let served = 0
    while (served < queue.length && batch.bytes < limit) {
      const stream = queue[served++] as Stream
      stream.queued = false
      if (stream.closed) continue
      // A lone bulk stream may fill the batch by itself, in one frame.
      const alone = served === queue.length
      const room = limit - batch.bytes - frameHeaderBytes
      this.#send(stream, batch, alone ? Math.max(quantum, room) : quantum)
      this.#options.onServed(stream)
      this.add(stream)
    }
    queue.splice(0, served)
  }

  /** Writes frames of one stream until its turn, its data or its credit is used up. */
  #send(stream: Stream, batch: Batch, quantum: number): void {
    const { sessionCredit, assignId, onEnded } = this.#options
    let left = quantum
    while (left > 0 && this.#canSend(stream)) {
      const { head } = stream
      const headBytes = head === undefined ? 0 : 2 + head.bytes.length
      const wanted = Math.min(
        stream.pendingBytes,
        stream.sendCredit.available,
        sessionCredit.available,
        maxFramePayloadBytes - headBytes,
        left,
      )
      stream.sendCredit.take(wanted)
      sessionCredit.take(wanted)
      const fin = stream.ending && wanted === stream.pendingBytes
      if (head?.type === FrameType.open) assignId(stream)
      const type = head?.type ?? FrameType.data
      batch.addHeader(type, fin, stream.id, headBytes + wanted)
      if (head !== undefined) batch.addHead(head.bytes)
      stream.head = undefined
      for (let rest = wanted; rest > 0;) {
        const chunk = stream.takeChunk(rest)
        batch.addRaw(chunk)
        rest -= chunk.length
      }
      left -= Math.max(wanted, 1)
      if (!fin) continue
      stream.ended = true
      onEnded(stream)
      return
    }
  }

  #canSend(stream: Stream): boolean {
    if (stream.closed || stream.ended) return false
    if (stream.head !== undefined) return true
    if (stream.pendingBytes === 0) return stream.ending
    return stream.sendCredit.available > 0 && this.#options.sessionCredit.available > 0
  }
}

/** Frames gathered as pieces, joined by one copy. */
class Batch {
  bytes = 0
  readonly #pieces: Uint8Array[] = []

  addRaw(piece: Uint8Array): void {
    this.#pieces.push(piece)
    this.bytes += piece.length
  }

  addHeader(type: FrameType, fin: boolean, streamId: number, payloadBytes: number): void {
    const header = Buffer.allocUnsafe(frameHeaderBytes)
    writeFrameHeader(header, 0, { type, fin, streamId, payloadBytes })
    this.addRaw(header)
  }

  addHead(head: Buffer): void {
    const length = Buffer.allocUnsafe(2)
    length.writeUInt16BE(head.length)
    this.addRaw(length)
    this.addRaw(head)
  }

  join(allocate: (bytes: number) => Buffer): Buffer {
    const joined = allocate(this.bytes)
    let at = 0
    for (const piece of this.#pieces) {
      joined.set(piece, at)
      at += piece.length
    }
    return joined
  }
}
