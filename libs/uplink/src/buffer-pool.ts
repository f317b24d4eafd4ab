/** Room for any batch of a session, with its frame headers. */
const slabBytes = 147_456
/** Smaller batches are cheaper from the garbage collector's own young generation. */
const worthPoolingBytes = 8_192
const maxIdle = 4

/** Buffers that are used again once the socket has taken their bytes: fresh ones would keep the collector busy. */
export type BufferPool = {
  take(bytes: number): Buffer
  /** Gives a buffer back; nobody may look at its bytes any more. */
  giveBack(buffer: Buffer): void
}

/** A pool for one socket. */
export function createBufferPool(): BufferPool {
  const idle: ArrayBufferLike[] = []
  return {
    take(bytes) {
      if (bytes < worthPoolingBytes || bytes > slabBytes) return Buffer.allocUnsafe(bytes)
      const slab = idle.pop() ?? new ArrayBuffer(slabBytes)
      return Buffer.from(slab, 0, bytes)
    },
    giveBack(buffer) {
      if (buffer.buffer.byteLength === slabBytes && idle.length < maxIdle) idle.push(buffer.buffer)
    },
  }
}
