import { AgentError, parseErrorCode, parseHop } from '@agent/contracts'

import { maxFramePayloadBytes } from './frame.ts'

/** The largest JSON head of an OPEN or HEAD frame, in bytes. */
export const maxHeadBytes = maxFramePayloadBytes - 2

const maxReasonCharacters = 1_024

/** A head as the bytes that go on the wire; one that does not fit a frame is refused. */
export function encodeHead(head: object): Buffer {
  const bytes = Buffer.from(JSON.stringify(head))
  if (bytes.length > maxHeadBytes) {
    throw new AgentError(
      'headers-too-large',
      `the head has ${bytes.length} bytes, ${maxHeadBytes} are allowed`,
      { hop: 'connection' },
    )
  }
  return bytes
}

/** Splits an OPEN or HEAD payload into its JSON head and the first bytes of the body. */
export function decodeHead(payload: Buffer): { head: unknown; body: Buffer } {
  const headBytes = payload.length < 2 ? -1 : payload.readUInt16BE(0)
  if (headBytes < 0 || payload.length < 2 + headBytes) {
    throw new AgentError('protocol', 'a head is cut short')
  }
  return {
    head: parseJson(payload.subarray(2, 2 + headBytes)),
    body: payload.subarray(2 + headBytes),
  }
}

/** Why a stream is over, as a RESET payload. */
export function encodeReset(error: AgentError): Buffer {
  const { code, hop, message, retryAfterMs } = error
  return Buffer.from(
    JSON.stringify({ code, hop, reason: message.slice(0, maxReasonCharacters), retryAfterMs }),
  )
}

/** Reads a RESET payload; whatever a newer or hostile peer put there becomes one of our errors. */
export function decodeReset(payload: Buffer): AgentError {
  const { code, hop, reason, retryAfterMs } = parseObject(payload)
  return new AgentError(parseErrorCode(code), text(reason, 'the peer gave no reason'), {
    hop: parseHop(hop, 'connection'),
    retryAfterMs: milliseconds(retryAfterMs),
  })
}

/** What a GOAWAY says: why, and how long to stay away. */
export type GoAway = { reason: string; retryAfterMs: number }

export function encodeGoAway(goAway: GoAway): Buffer {
  return Buffer.from(JSON.stringify(goAway))
}

export function decodeGoAway(payload: Buffer): GoAway {
  const { reason, retryAfterMs } = parseObject(payload)
  return { reason: text(reason, 'draining'), retryAfterMs: milliseconds(retryAfterMs) ?? 0 }
}

/** What one frame of a SYNC says: the highest id seen from the peer, and ids still live. */
export type Sync = { highestSeen: number; ids: number[] }

const idsPerSync = maxFramePayloadBytes / 4 - 1

/** The payloads of a SYNC, one for each frame it takes; never none. */
export function encodeSync(highestSeen: number, ids: Iterable<number>): Buffer[] {
  const all = [...ids]
  const payloads: Buffer[] = []
  for (let from = 0; from === 0 || from < all.length; from += idsPerSync) {
    payloads.push(encodeUint32(highestSeen, ...all.slice(from, from + idsPerSync)))
  }
  return payloads
}

export function decodeSync(payload: Buffer): Sync {
  if (payload.length < 4 || payload.length % 4 !== 0) {
    throw new AgentError('protocol', 'a SYNC frame is cut short')
  }
  const ids: number[] = []
  for (let at = 4; at < payload.length; at += 4) ids.push(payload.readUInt32BE(at))
  return { highestSeen: payload.readUInt32BE(0), ids }
}

export function encodeUint32(...values: number[]): Buffer {
  const bytes = Buffer.allocUnsafe(4 * values.length)
  values.forEach((value, index) => bytes.writeUInt32BE(value, 4 * index))
  return bytes
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new AgentError('protocol', 'a head is not JSON', { cause })
  }
}

function parseObject(bytes: Buffer): Record<string, unknown> {
  const value = parseJson(bytes)
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function text(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value.slice(0, maxReasonCharacters) : fallback
}

function milliseconds(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && value <= 3_600_000 ? value : undefined
}
