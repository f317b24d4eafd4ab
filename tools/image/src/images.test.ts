import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { buildImages } from './images.ts'
import { isSkipped } from './programs.testing.ts'
import { runInside, unpack, type Unpacked } from './unpack.testing.ts'

const run = promisify(execFile)
type Component = { name: string; version?: string; purl?: string; hashes?: { content: string }[] }

const scope = new AsyncDisposableStack()
let images: Awaited<ReturnType<typeof buildImages>>
let unpacked: Record<'agent' | 'control-plane', Unpacked>

/** Builds all images, with bundles of their own. */
async function build(): Promise<typeof images> {
  const dir = await mkdtemp(join(tmpdir(), 'pipeops-image-'))
  await using building = new AsyncDisposableStack()
  building.defer(() => rm(dir, { recursive: true }))
  return await buildImages({ bundleDir: dir, prefix: 'localhost/test-', tag: '1' })
}

beforeAll(async () => {
  images = await build()
  unpacked = {
    agent: scope.use(await unpack(images.agent)),
    'control-plane': scope.use(await unpack(images['control-plane'])),
  }
})
afterAll(() => scope.disposeAsync())

test('the same sources build the same digests', async () => {
  const again = await build()
  for (const kind of ['agent', 'control-plane', 'nats'] as const) {
    expect(again[kind].digest).toBe(images[kind].digest)
    expect(again[kind].archive.equals(images[kind].archive)).toBe(true)
  }
})

test('an image says what it is and from which commit, and runs as user 1000', async () => {
  const { config } = unpacked.agent
  const { stdout } = await run('git', ['rev-parse', 'HEAD'])
  expect(config.config.User).toBe('1000:1000')
  expect(config.config.Labels).toMatchObject({
    'org.opencontainers.image.revision': stdout.trim(),
    'org.opencontainers.image.created': config.created,
    'org.opencontainers.image.licenses': 'MIT',
  })
})

test.skipIf(isSkipped('running images')).each([
  ['agent', 'link', 'link: invalid configuration', 2],
  // It serves, and ends on SIGTERM.
  ['agent', 'proxy', 'starting', 0],
  ['agent', 'edge', 'invalid configuration', 2],
  ['control-plane', 'control-plane', 'control-plane: invalid configuration', 2],
] as const)(
  'in its own root and without anything else, %s runs %s',
  async (kind, app, said, ends) => {
    const command = ['/usr/local/bin/node', `/app/${app}.mjs`]
    const { code, output } = await runInside(unpacked[kind].root, command, {
      env: { KUBERNETES_URL: 'https://127.0.0.1:1', HEALTH_PORT: '0' },
      ...(ends === 0 ? { until: said } : {}),
    })
    expect(output).toContain(said)
    expect(code).toBe(ends)
  },
)

test('the bill of materials names what is inside, and nothing that is only needed to build', async () => {
  const file = join(unpacked['control-plane'].root, 'usr/share/sbom/image.cdx.json')
  const { components } = JSON.parse(await readFile(file, 'utf8')) as { components: Component[] }
  const names = components.map(({ name }) => name)
  expect(names).toContain('usr/local/bin/nats-server')
  expect(names).toContain('usr/local/bin/node')
  expect(components.find(({ name }) => name === 'ws')).toMatchObject({
    purl: expect.stringMatching(/^pkg:npm\/ws@8\./) as string,
    hashes: [{ content: expect.stringMatching(/^[0-9a-f]{128}$/) as string }],
  })
  expect(names.filter((name) => ['esbuild', 'typescript', 'vitest'].includes(name))).toEqual([])
})
