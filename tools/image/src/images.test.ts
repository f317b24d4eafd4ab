import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { zstdDecompressSync } from 'node:zlib'

import { beforeAll, expect, test } from 'vitest'

import { buildImages } from './images.ts'
import type { Image } from './oci.ts'

const run = promisify(execFile)
type Manifest = { config: { digest: string }; layers: { digest: string; size: number }[] }
type Component = { name: string; version?: string; purl?: string; hashes?: { content: string }[] }

let images: Awaited<ReturnType<typeof buildImages>>

/** Builds all images, with bundles of their own. */
async function build(): Promise<typeof images> {
  const dir = await mkdtemp(join(tmpdir(), 'pipeops-image-'))
  await using scope = new AsyncDisposableStack()
  scope.defer(() => rm(dir, { recursive: true }))
  return buildImages({ bundleDir: dir, prefix: 'localhost/test-', tag: '1' })
}

/** Unpacks an archive with the system's tar, which knows nothing of ours; layers go to `root`. */
async function unpack(image: Image) {
  const dir = await mkdtemp(join(tmpdir(), 'pipeops-unpack-'))
  const archive = join(dir, 'image.tar')
  await writeFile(archive, image.archive)
  await run('tar', ['-xf', archive, '-C', dir])
  const blob = (digest: string) => readFile(join(dir, 'blobs', digest.replace(':', '/')))
  const index = JSON.parse(await readFile(join(dir, 'index.json'), 'utf8')) as {
    manifests: { digest: string }[]
  }
  const manifest = JSON.parse(String(await blob(index.manifests[0]?.digest as string))) as Manifest
  const config = JSON.parse(String(await blob(manifest.config.digest))) as {
    created: string
    config: { User: string; Labels: Record<string, string>; Env: string[] }
  }
  const root = join(dir, 'root')
  await mkdir(root)
  for (const { digest } of manifest.layers) {
    const layer = join(dir, 'layer.tar')
    await writeFile(layer, zstdDecompressSync(await blob(digest)))
    await run('tar', ['-xpf', layer, '-C', root])
  }
  return { root, config, [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) }
}

beforeAll(async () => void (images = await build()))

test('the same sources build the same digests', async () => {
  const again = await build()
  for (const kind of ['agent', 'control-plane', 'nats'] as const) {
    expect(again[kind].digest).toBe(images[kind].digest)
    expect(again[kind].archive.equals(images[kind].archive)).toBe(true)
  }
})

test('an image says what it is and from which commit, and runs as user 1000', async () => {
  await using image = await unpack(images.agent)
  const { stdout } = await run('git', ['rev-parse', 'HEAD'])
  expect(image.config.config.User).toBe('1000:1000')
  expect(image.config.config.Labels).toMatchObject({
    'org.opencontainers.image.revision': stdout.trim(),
    'org.opencontainers.image.created': image.config.created,
    'org.opencontainers.image.licenses': 'MIT',
  })
})

test.each([
  ['agent', 'link', 'link: invalid configuration'],
  ['agent', 'proxy', 'starting'],
  ['control-plane', 'control-plane', 'control-plane: invalid configuration'],
] as const)(
  'in its own root and without anything else, %s starts %s',
  { skip: process.getuid?.() !== 0 && process.env['CI'] === undefined },
  async (kind, app, said) => {
    await using image = await unpack(images[kind])
    const started = run(
      'chroot',
      ['--userspec=1000:1000', image.root, '/usr/local/bin/node', `/app/${app}.mjs`],
      { env: { PATH: '/usr/sbin:/usr/bin:/bin', ...environment }, timeout: 2_000 },
    )
    const output = await started.then(
      ({ stdout, stderr }) => stdout + stderr,
      ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
    )
    expect(output).toContain(said)
  },
)
const environment = { KUBERNETES_URL: 'https://127.0.0.1:1', HEALTH_PORT: '0' }

test('the bill of materials names what is inside, and nothing that is only needed to build', async () => {
  await using image = await unpack(images['control-plane'])
  const file = join(image.root, 'usr/share/sbom/image.cdx.json')
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
