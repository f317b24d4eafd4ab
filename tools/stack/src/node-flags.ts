/** Those that bodies pass through. */
const carriers = new Set(['control-plane', 'proxy', 'edge'])

/**
 * What Node is started with, here and in the images and charts. Bodies live in buffers outside V8's heap, each held by a
 * small object: a young generation of 1 MB frees them at once, and 64 MB that may pile up before V8 marks the heap keep
 * it from marking for their sake all the time (docs/adr/0006). One thread of V8's own, however many cores there are.
 */
export function nodeFlags(app: string): string[] {
  const flags = ['--max-semi-space-size=1', '--v8-pool-size=1']
  return carriers.has(app) ? [...flags, '--initial-old-space-size=64'] : flags
}
