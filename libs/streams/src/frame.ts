import { AgentError } from '@agent/contracts'

/**
 * The wire: a byte stream of frames. Eight bytes of header, big endian, then the payload:
 * type (1), flags (1), payload length (2), stream id (4). WebSocket message boundaries mean nothing.
 */
export const frameHeaderBytes = 8
/** Header and payload together fit 64 KiB. */
export const maxFramePayloadBytes = 65_536 - frameHeaderBytes

export const FrameType = {
  /** A new stream: 2-byte head length, JSON head, first bytes. */
  open: 1,
  /** The answer's head: 2-byte head length, JSON head, first bytes. */
  head: 2,
  data: 3,
  /** The stream is over: JSON `{code, hop, reason}`. */
  reset: 4,
  /** The receiver took this many bytes (4); stream id 0 is the session's own credit. */
  credit: 5,
  /** Eight bytes that come back in a PONG. */
  ping: 6,
  pong: 7,
  /** No new streams, please: JSON `{reason, retryAfterMs}`. */
  goAway: 8,
  /** The highest id seen from the peer (4), then live ids (4 each); a long list takes several frames, the last has FIN. */
  sync: 9,
} as const
export type FrameType = (typeof FrameType)[keyof typeof FrameType]

/** Set on the last OPEN, HEAD or DATA frame of a direction, and on the last frame of a SYNC. */
export const finFlag = 1

/** One frame; the payload is a view of the bytes it arrived in. */
export type Frame = { type: FrameType; fin: boolean; streamId: number; payload: Buffer }

/** Writes a frame's header at `offset`. */
export function writeFrameHeader(
  into: Buffer,
  offset: number,
  frame: { type: FrameType; fin: boolean; streamId: number; payloadBytes: number },
): void {
  into[offset] = frame.type
  into[offset + 1] = frame.fin ? finFlag : 0
  into.writeUInt16BE(frame.payloadBytes, offset + 2)
  into.writeUInt32BE(frame.streamId, offset + 4)
}

/** A whole frame as bytes. */
export function encodeFrame(
  type: FrameType,
  streamId: number,
  payload: Uint8Array,
  fin = false,
): Buffer {
  const bytes = Buffer.allocUnsafe(frameHeaderBytes + payload.length)
  writeFrameHeader(bytes, 0, { type, fin, streamId, payloadBytes: payload.length })
  bytes.set(payload, frameHeaderBytes)
  return bytes
}

/** Cuts a byte stream into frames, whatever pieces it comes in; keeps at most one unfinished frame. */
export class FrameDecoder {
  /** Room for the unfinished frame, or for its header until that is whole: each byte is copied at most twice. */
  #partial: Buffer | undefined
  #filled = 0

  /** Calls `onFrame` for each frame completed; throws `protocol` on what can be none. */
  push(chunk: Buffer, onFrame: (frame: Frame) => void): void {
    let at = this.#partial === undefined ? 0 : this.#resume(chunk, onFrame)
    while (chunk.length - at >= frameHeaderBytes) {
      const end = at + frameBytesAt(chunk, at)
      if (end > chunk.length) break
      onFrame(readFrame(chunk, at, end))
      at = end
    }
    if (at === chunk.length) return
    const isHeaderWhole = chunk.length - at >= frameHeaderBytes
    this.#partial = Buffer.allocUnsafe(isHeaderWhole ? frameBytesAt(chunk, at) : frameHeaderBytes)
    this.#filled = chunk.copy(this.#partial, 0, at)
  }

  /** Goes on with the unfinished frame; returns how many bytes of the chunk belong to it. */
  #resume(chunk: Buffer, onFrame: (frame: Frame) => void): number {
    const begun = this.#partial as Buffer
    let taken = this.#fill(begun, chunk, 0)
    if (this.#filled < frameHeaderBytes) return taken
    const frameBytes = frameBytesAt(begun, 0)
    let frame = begun
    if (begun.length < frameBytes) {
      frame = Buffer.allocUnsafe(frameBytes)
      frame.set(begun)
      this.#partial = frame
      taken += this.#fill(frame, chunk, taken)
    }
    if (this.#filled < frameBytes) return taken
    this.#partial = undefined
    onFrame(readFrame(frame, 0, frameBytes))
    return taken
  }

  #fill(into: Buffer, chunk: Buffer, from: number): number {
    const copied = chunk.copy(into, this.#filled, from)
    this.#filled += copied
    return copied
  }
}

/** Checks the header at `offset` and returns the length of its whole frame. */
function frameBytesAt(bytes: Buffer, offset: number): number {
  const type = bytes[offset] as number
  const flags = bytes[offset + 1] as number
  if (type < FrameType.open || type > FrameType.sync || flags > finFlag) {
    throw new AgentError('protocol', `frame of unknown type ${type}, flags ${flags}`)
  }
  const payloadBytes = bytes.readUInt16BE(offset + 2)
  if (payloadBytes > maxFramePayloadBytes) {
    throw new AgentError('protocol', `frame payload of ${payloadBytes} bytes is over the limit`)
  }
  return frameHeaderBytes + payloadBytes
}

function readFrame(bytes: Buffer, start: number, end: number): Frame {
  return {
    type: bytes[start] as FrameType,
    fin: bytes[start + 1] === finFlag,
    streamId: bytes.readUInt32BE(start + 4),
    payload: bytes.subarray(start + frameHeaderBytes, end),
  }
}
