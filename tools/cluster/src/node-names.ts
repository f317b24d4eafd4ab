import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

/** What a whole node is known by on its machine; one of them runs at a time. */
export const node = {
  name: 'whole-node',
  /** On `lo`, because an API server cannot be announced at 127.0.0.1. */
  address: '10.88.5.1',
  bridge: 'cni0',
  podCidr: '10.88.6.0/24',
} as const

/** The one image there is; sandboxes run it too. */
export const testImage = 'localhost/test:1'

/** How long containers' parts may take to start. */
export const startMs = 60_000

/** Makes a folder below `dir`. */
export async function folder(dir: string, name: string): Promise<string> {
  const path = join(dir, name)
  await mkdir(path, { recursive: true })
  return path
}
