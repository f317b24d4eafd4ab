import { AgentError } from '@agent/contracts'

/** The largest message either bus carries, in bytes of JSON. */
export const maxMessageBytes = 262_144

const decoder = new TextDecoder()

/** A message as bytes; throws `bad-request` for one that is too large. */
export function encodeMessage(value: unknown): Buffer {
  const bytes = Buffer.from(JSON.stringify(value))
  if (bytes.length > maxMessageBytes) {
    throw new AgentError(
      'bad-request',
      `a bus message has ${bytes.length} bytes, ${maxMessageBytes} are allowed`,
      { hop: 'link' },
    )
  }
  return bytes
}

/** Reads a message; what is not JSON becomes undefined, which no contract takes. */
export function decodeMessage(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes))
  } catch {
    return undefined
  }
}
