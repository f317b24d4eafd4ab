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
  /** The highest id seen from the peer (4), then every live id (4 each). */
  sync: 9,
} as const
export type FrameType = (typeof FrameType)[keyof typeof FrameType]

/** Set on the last OPEN, HEAD or DATA frame of a direction. */
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
  #partial: Buffer | undefined

  /** Calls `onFrame` for each frame completed; throws `protocol` on what can be none. */
  push(chunk: Buffer, onFrame: (frame: Frame) => void): void {
    let bytes = this.#partial === undefined ? chunk : Buffer.concat([this.#partial, chunk])
    this.#partial = undefined
    while (bytes.length >= frameHeaderBytes) {
      const type = bytes[0] as number
      const flags = bytes[1] as number
      if (type < FrameType.open || type > FrameType.sync || flags > finFlag) {
        throw new AgentError('protocol', `frame of unknown type ${type}, flags ${flags}`)
      }
      const payloadBytes = bytes.readUInt16BE(2)
      if (payloadBytes > maxFramePayloadBytes) {
        throw new AgentError('protocol', `frame payload of ${payloadBytes} bytes is over the limit`)
      }
      const end = frameHeaderBytes + payloadBytes
      if (bytes.length < end) break
      onFrame({
        type: type as FrameType,
        fin: flags === finFlag,
        streamId: bytes.readUInt32BE(4),
        payload: bytes.subarray(frameHeaderBytes, end),
      })
      bytes = bytes.subarray(end)
    }
    if (bytes.length > 0) this.#partial = bytes
  }
}
