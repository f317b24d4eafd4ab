import { copyFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { machineArch } from './architecture.ts'
import { readElf } from './elf.ts'
import { buildImages, packImages } from './images.ts'
import { ensureProgram, isSkipped } from './programs.testing.ts'
import { runInside, unpack, type Unpacked } from './unpack.testing.ts'

const arch = machineArch === 'amd64' ? 'arm64' : 'amd64'
const emulatorName = `qemu-${arch === 'arm64' ? 'aarch64' : 'x86_64'}-static`
const prepareMs = 600_000

const scope = new AsyncDisposableStack()
const options = { prefix: 'localhost/test-', tag: '1', arch } as const
let bundleDir: string
let images: Awaited<ReturnType<typeof buildImages>>
let emulator: string
let unpacked: Record<'agent' | 'control-plane', Unpacked>

describe.skipIf(isSkipped(`the images for ${arch}`))(`the images for ${arch}`, () => {
  // What is fetched and built for the other architecture comes out of a cache but for the first time.
  beforeAll(async () => {
    emulator = await ensureProgram(emulatorName, 'qemu-user-static')
    bundleDir = await mkdtemp(join(tmpdir(), 'pipeops-foreign-'))
    scope.defer(() => rm(bundleDir, { recursive: true }))
    images = await buildImages({ ...options, bundleDir })
    unpacked = {
      agent: scope.use(await unpack(images.agent)),
      'control-plane': scope.use(await unpack(images['control-plane'])),
    }
  }, prepareMs)
  afterAll(() => scope.disposeAsync())

  test('say so, and every program and library in them is for it', async () => {
    for (const { root, config } of Object.values(unpacked)) {
      expect(config.architecture).toBe(arch)
      const found = new Map<string, string>()
      for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue
        const file = join(entry.parentPath, entry.name)
        const data = await readFile(file)
        if (data.subarray(1, 4).toString() === 'ELF')
          found.set(relative(root, file), readElf(data).arch)
      }
      expect([...found.keys()]).toEqual(
        expect.arrayContaining(['usr/local/bin/node', 'usr/lib/libc.so.6']),
      )
      expect(new Set(found.values())).toEqual(new Set([arch]))
    }
  })

  test('have the same digests when they are packed again', async () => {
    const again = await packImages({ ...options, bundleDir })
    expect(again['control-plane'].digest).toBe(images['control-plane'].digest)
    expect(again.agent.digest).toBe(images.agent.digest)
  })

  test('tell the versions of Node and of its libraries', async () => {
    const file = join(unpacked.agent.root, 'usr/share/sbom/image.cdx.json')
    const { components } = JSON.parse(await readFile(file, 'utf8')) as {
      components: { name: string; version?: string }[]
    }
    const version = (name: string) => components.find((each) => each.name === name)?.version
    expect(version('usr/local/bin/node')).toBe(process.versions.node)
    expect(version('usr/lib/libc.so.6')).toMatch(/^2\.\d+-\d/)
  })

  test.each([
    ['agent', 'link.mjs', 'link: invalid configuration', 'PIPEOPS_CLUSTER_NAME: is required'],
    ['agent', 'edge.mjs', 'invalid configuration', 'PIPEOPS_CLUSTER_NAME: is required'],
    [
      'control-plane',
      'control-plane.mjs',
      'invalid configuration',
      'CONTROL_PLANE_DATA_DIR: is required',
    ],
  ] as const)(
    'on an emulated processor, in its own root, %s runs %s',
    async (kind, app, said, problem) => {
      const node = ['/usr/local/bin/node', `/app/${app}`]
      const { code, output } = await emulate(unpacked[kind].root, node, { HEALTH_PORT: '0' })
      expect(output).toContain(said)
      expect(output).toContain(problem)
      expect(code).toBe(2)
    },
  )

  test('on an emulated processor, the nats-server runs', async () => {
    const { root } = unpacked['control-plane']
    const { code, output } = await emulate(root, ['/usr/local/bin/nats-server', '--version'])
    expect(output).toMatch(/^nats-server: v2\./)
    expect(code).toBe(0)
  })
})

/** Inside the root and by its path, so that the kernel need not know the emulator. */
async function emulate(root: string, command: string[], env: Record<string, string> = {}) {
  await copyFile(emulator, join(root, emulatorName))
  return runInside(root, [`/${emulatorName}`, ...command], { env })
}
