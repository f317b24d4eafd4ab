import { execFile } from 'node:child_process'
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'

import { bundleAll, root } from '@agent/bundle'
import { toolVersion } from '@agent/toolbox'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { createBuildah } from './buildah.testing.ts'
import { packImages, writePackageSboms } from './images.ts'
import { readNodeFiles } from './node-files.ts'
import { createImage, createLayer } from './oci.ts'
import { isSkipped } from './programs.testing.ts'
import { runInside, unpack, type Unpacked } from './unpack.testing.ts'

const run = promisify(execFile)
const dockerfile = join(root, 'deploy/image/Dockerfile')
const prepareMs = 300_000
const buildMs = 120_000

type Target = 'agent' | 'control-plane'
const scope = new AsyncDisposableStack()
let dir: string
/** What tools/image makes of the same bundles. */
let ours: Record<Target, Unpacked>
let buildah: Awaited<ReturnType<typeof createBuildah>>

/** A base as others make them: Node, and no folder that an app wants. */
async function createBase(): Promise<Buffer> {
  const layer = await createLayer([{ path: 'tmp/', mode: 0o1777 }, ...(await readNodeFiles(root))])
  const config = { User: '', Env: [], Entrypoint: [], Cmd: [], WorkingDir: '/', Labels: {} }
  const created = '2001-02-03T04:05:06Z'
  return createImage({ name: 'localhost/base:1', layers: [layer], created, config }).archive
}

/** Two checkouts of the same: the second is another person's, with another umask, and of another day. */
async function createContexts(): Promise<void> {
  const dist = join(dir, 'first/dist')
  await bundleAll(() => {}, dist)
  await writePackageSboms(dist)
  await cp(join(dir, 'first'), join(dir, 'second'), { recursive: true })
  await run('chmod', ['-R', 'go-rwx', join(dir, 'second')])
}

async function build(target: Target, context: string) {
  const labels = ours[target].config.config.Labels
  const label = (name: string) => labels[`org.opencontainers.image.${name}`]
  const args = {
    BASE_IMAGE: `oci-archive:${dir}/base.tar`,
    NATS_IMAGE: `oci-archive:${dir}/nats.tar`,
    VERSION: label('version'),
    REVISION: label('revision'),
    CREATED: label('created'),
  }
  return buildah.build(`localhost/${target}:${context}`, join(dir, context), [
    ...['--file', dockerfile, '--ignorefile', `${dockerfile}.dockerignore`],
    ...['--target', target, '--timestamp', '1000000000'],
    ...Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
  ])
}

/** Every file below a folder, with what is in it. */
async function readAll(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).toSorted()
  const contents = paths.map(async (path) => [
    relative(folder, path),
    await readFile(path, 'latin1'),
  ])
  return Object.fromEntries((await Promise.all(contents)) as [string, string][])
}

describe.skipIf(isSkipped('deploy/image/Dockerfile'))('the Dockerfile', () => {
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'pipeops-dockerfile-'))
    scope.defer(() => rm(dir, { recursive: true }))
    await createContexts()
    const bundleDir = join(dir, 'first/dist')
    const [images, base] = await Promise.all([
      packImages({ bundleDir, prefix: 'localhost/', tag: 'ours' }),
      createBase(),
    ])
    await writeFile(join(dir, 'nats.tar'), images.nats.archive)
    await writeFile(join(dir, 'base.tar'), base)
    ours = {
      agent: scope.use(await unpack(images.agent)),
      'control-plane': scope.use(await unpack(images['control-plane'])),
    }
    buildah = await createBuildah(dir)
  }, prepareMs)
  afterAll(() => scope.disposeAsync())

  test.each([
    ['agent', 'link: invalid configuration'],
    ['control-plane', 'control-plane: invalid configuration'],
  ] as const)(
    'builds %s, from no registry, into what tools/image makes of the same bundles',
    async (target, said) => {
      const { digest, config } = await build(target, 'first')
      const expected = ours[target]
      expect(config).toMatchObject({
        User: '1000:1000',
        Cmd: expected.config.config.Cmd,
        Labels: expected.config.config.Labels,
      })
      expect(config.Env).toEqual(
        expect.arrayContaining(
          expected.config.config.Env.filter((each) => !each.startsWith('PATH=')),
        ),
      )

      const inside = await buildah.open(`localhost/${target}:first`)
      expect(await readAll(join(inside, 'app'))).toEqual(await readAll(join(expected.root, 'app')))
      expect(
        JSON.parse(await readFile(join(inside, 'usr/share/sbom/image.cdx.json'), 'utf8')),
      ).toMatchObject({
        components: expect.arrayContaining([expect.objectContaining({ name: 'ws' })]) as unknown,
      })
      for (const folder of ['data', 'run/pod', 'run/agent', 'run/cluster']) {
        expect(await stat(join(inside, folder))).toMatchObject({ uid: 1_000, gid: 1_000 })
      }

      const env = Object.fromEntries(config.Env.map((each) => each.split(/=(.*)/s).slice(0, 2)))
      const started = await runInside(inside, [...config.Entrypoint, ...config.Cmd], { env })
      expect(started.output).toContain(said)
      expect(started.code).toBe(2)
      if (target === 'control-plane') {
        const { output } = await runInside(inside, ['nats-server', '--version'], { env })
        expect(output).toMatch(/^nats-server: v2\./)
      }

      const again = await build(target, 'second')
      expect(again.digest).toBe(digest)
    },
    buildMs,
  )

  test('takes by default the Node and the nats-server that are pinned', async () => {
    const text = await readFile(dockerfile, 'utf8')
    expect(text).toContain(`nodejs${process.versions.node.split('.')[0]}-`)
    expect(text).toContain(`nats:${toolVersion('nats-server')}-`)
  })
})
