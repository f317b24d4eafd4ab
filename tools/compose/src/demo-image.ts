import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { bundleOptions, root } from '@agent/bundle'
import { createImage, createLayer, type Image, readNodeFiles, rootFiles } from '@agent/image'
import { type Progress, resolveTools } from '@agent/toolbox'
import { build } from 'esbuild'

/** What the cluster is made of. */
export const demoPrograms = ['etcd', 'kube-apiserver', 'kwok', 'kubectl'] as const

/** Bundles the demo cluster into `dir`, for this image or for deploy/compose/Dockerfile; returns the file. */
export async function bundleDemoCluster(dir: string): Promise<string> {
  await mkdir(dir, { recursive: true })
  const outfile = join(dir, 'demo-cluster.mjs')
  await build({
    entryPoints: [fileURLToPath(import.meta.resolve('./demo-cluster.ts'))],
    outfile,
    ...bundleOptions,
  })
  return outfile
}

/** Builds the demo cluster's image from the programs of this machine. */
export async function buildDemoImage(options: {
  name: string
  bundleDir: string
  progress: Progress
}): Promise<Image> {
  const { name, bundleDir, progress } = options
  const programs = await resolveTools(demoPrograms, { progress })
  const bundle = await readFile(await bundleDemoCluster(bundleDir))
  const files = Object.entries(programs).map(async ([program, file]) => ({
    path: `usr/local/bin/${program}`,
    mode: 0o755,
    data: await readFile(file),
  }))
  progress('packing the demo cluster …')
  return createImage({
    name,
    layers: [
      await createLayer([...rootFiles, ...(await readNodeFiles(root))]),
      await createLayer(await Promise.all(files)),
      await createLayer([{ path: 'app/demo-cluster.mjs', data: bundle }]),
    ],
    created: '1970-01-01T00:00:00Z',
    config: {
      User: '1000:1000',
      Env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'MALLOC_ARENA_MAX=1'],
      Entrypoint: ['/usr/local/bin/node'],
      Cmd: ['/app/demo-cluster.mjs'],
      WorkingDir: '/',
      Labels: { 'org.opencontainers.image.title': 'A cluster to try the agent on' },
    },
  })
}
