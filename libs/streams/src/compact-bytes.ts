/** A slice smaller than this share of its buffer is worth a copy. */
const worthKeepingShare = 1 / 4

/**
 * Bytes to keep for a while: a copy of a slice that is small against the buffer it shares, else the slice itself. What
 * `onData` hands over is a view of a whole message, and one kept view keeps all of it; for bytes that are passed on at
 * once there is no need.
 */
export function compactBytes(bytes: Buffer): Buffer {
  if (bytes.length >= bytes.buffer.byteLength * worthKeepingShare) return bytes
  // Not from Node's pool, which is again one buffer for many slices.
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}
