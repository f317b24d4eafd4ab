import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

/** What a whole node is known by on its machine; one of them runs at a time. */
export const space = {
  name: 'pipeops-node',
  link: 'pipeops0',
  network: '10.213.88.0/30',
  hostAddress: '10.213.88.2',
  /** Where the API server is reached, inside and from the host. */
  address: '10.213.88.1',
} as const

/** What exists only inside that space. */
export const node = {
  name: 'whole-node',
  address: space.address,
  bridge: 'pods0',
  podCidr: '10.213.89.0/24',
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
