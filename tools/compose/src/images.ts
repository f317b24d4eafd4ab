import { createHash } from 'node:crypto'
import { glob, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { root } from '@agent/bundle'
import { execute, mustExecute } from '@agent/e2e'
import { buildImages, type Image } from '@agent/image'
import type { Progress } from '@agent/toolbox'

import { buildDemoImage, bundleDemoCluster } from './demo-image.ts'
import type { Engine } from './engine.ts'

const prefix = 'localhost/pipeops-'
const shared = [
  'package.json',
  'package-lock.json',
  'tools/image/src/*.ts',
  'tools/toolbox/src/*.ts',
]
/** What the images are made from. */
const sources = {
  product: [...shared, 'apps/*/src/**/*', 'libs/*/src/**/*', 'tools/bundle/src/*.ts'],
  demo: [...shared, 'tools/cluster/src/*.ts', 'tools/compose/src/demo-*.ts'],
}
const buildMs = 900_000

/** Builds what is missing, without a registry, and gives it to podman; returns the variables that name the images. */
export async function loadImages(
  engine: Engine,
  progress: Progress,
): Promise<Record<string, string>> {
  const tag = await hashFiles(sources.product)
  const demo = `${prefix}demo-cluster:${await hashFiles(sources.demo)}`
  const names = {
    AGENT_IMAGE: `${prefix}agent:${tag}`,
    CONTROL_PLANE_IMAGE: `${prefix}control-plane:${tag}`,
    NATS_IMAGE: `${prefix}nats:${tag}`,
    DEMO_CLUSTER_IMAGE: demo,
  }
  const { program, env } = engine
  const listed = await mustExecute(
    program,
    ['images', '--filter', `reference=${prefix}*`, '--format', '{{.Repository}}:{{.Tag}}'],
    { env },
  )
  const there = new Set(listed.split('\n').filter(Boolean))
  const dir = await mkdtemp(join(tmpdir(), 'pipeops-images-'))
  try {
    const { DEMO_CLUSTER_IMAGE: _, ...product } = names
    if (!Object.values(product).every((name) => there.has(name))) {
      const images = await buildImages({ bundleDir: join(dir, 'bundles'), prefix, tag, progress })
      for (const image of Object.values(images)) await load(engine, dir, image)
    }
    if (!there.has(demo)) {
      await load(engine, dir, await buildDemoImage({ name: demo, bundleDir: dir, progress }))
    }
  } finally {
    await rm(dir, { recursive: true })
  }
  // Earlier ones; those that something still runs from stay.
  const old = [...there].filter((name) => !Object.values(names).includes(name))
  for (const name of old) await execute(program, ['rmi', name], { env })
  return names
}

async function load({ program, env }: Engine, dir: string, { archive }: Image): Promise<void> {
  const file = join(dir, 'image.tar')
  await writeFile(file, archive)
  await mustExecute(program, ['load', '--quiet', '--input', file], { env })
}

/** Makes what the Dockerfiles copy. */
export async function prepareDockerfiles(progress: Progress): Promise<void> {
  const node = join(root, 'node_modules/.bin/node')
  const run = (script: string, ...args: string[]) =>
    mustExecute(node, [join(root, script), ...args], { timeoutMs: buildMs })
  progress('bundling …')
  await run('tools/bundle/src/main.ts')
  await run('tools/image/src/main.ts', '--sbom-only')
  await bundleDemoCluster(join(root, 'dist'))
}

async function hashFiles(patterns: string[]): Promise<string> {
  const files = await Array.fromAsync(glob(patterns, { cwd: root, withFileTypes: true }))
  const hash = createHash('sha256')
  const paths = files
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name))
  for (const path of paths.toSorted()) {
    if (path.includes('.test.') || path.includes('.testing.')) continue
    hash.update(path.slice(root.length)).update(await readFile(path))
  }
  return hash.digest('hex').slice(0, 12)
}
