/**
 * What Node is started with, here and in the images. Bodies live in buffers outside V8's heap, each held by a small
 * object: a young generation of 16 MB collects them so late that their bytes trigger whole marking runs, a third of
 * all CPU time. One of 1 MB frees them at once (docs/adr/0006); threads of V8's own only take the cores from others.
 */
export const nodeFlags = ['--max-semi-space-size=1', '--v8-pool-size=0']
