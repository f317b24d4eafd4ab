import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { imageArchs } from './architecture.ts'
import { createBuildah } from './buildah.testing.ts'
import { createImage, createLayer, joinImages } from './oci.ts'
import { isSkipped } from './programs.testing.ts'

const options = {
  name: 'localhost/test:1',
  created: '2001-02-03T04:05:06Z',
  config: { User: '', Env: [], Entrypoint: [], Cmd: [], WorkingDir: '/', Labels: {} },
}
const installMs = 180_000

test.skipIf(isSkipped('an archive for two architectures'))(
  'from an archive for two architectures, each gets its own',
  async () => {
    await using scope = new AsyncDisposableStack()
    const dir = await mkdtemp(join(tmpdir(), 'pipeops-oci-'))
    scope.defer(() => rm(dir, { recursive: true }))
    const images = imageArchs.map(async (arch) => {
      const layer = await createLayer([{ path: 'for', data: Buffer.from(arch) }])
      return createImage({ ...options, arch, layers: [layer] })
    })
    const archive = join(dir, 'both.tar')
    await writeFile(archive, joinImages(await Promise.all(images)).archive)

    const buildah = await createBuildah(dir)
    for (const arch of imageArchs) {
      const inside = await buildah.open(await buildah.pull(archive, arch))
      expect(await readFile(join(inside, 'for'), 'utf8')).toBe(arch)
    }
  },
  installMs,
)
