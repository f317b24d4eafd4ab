import { Readable } from 'node:stream'

import { compactBytes, type Stream } from '@agent/streams'

/** A request body that arrives on a stream, as undici wants to read it. */
export type RequestBody = {
  readable: Readable
  push(bytes: Buffer): void
  end(): void
  destroy(): void
}

/** Credit goes back when undici took the bytes, so what waits here is at most the stream's window. */
export function createRequestBody(stream: Stream): RequestBody {
  let owedBytes = 0
  const readable = new Readable({
    highWaterMark: 65_536,
    read() {
      const bytes = owedBytes
      owedBytes = 0
      stream.consume(bytes)
    },
  })
  // Whoever destroys it knows why; without a listener an abort would end the process.
  readable.on('error', () => {})
  return {
    readable,
    push(bytes) {
      const kept = readable.readableLength === 0 ? bytes : compactBytes(bytes)
      if (readable.push(kept)) stream.consume(bytes.length)
      else owedBytes += bytes.length
    },
    end() {
      readable.push(null)
    },
    destroy() {
      readable.destroy()
    },
  }
}
