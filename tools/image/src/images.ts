import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { bundleAll, readRevision, root } from '@agent/bundle'
import type { Progress } from '@agent/toolbox'

import { type ImageArch, machineArch } from './architecture.ts'
import { createImage, createLayer, type Image } from './oci.ts'
import { createSbom } from './sbom.ts'
import { createNatsLayer, createNodeLayer, type SystemLayer } from './system-layers.ts'
import type { TarEntry } from './tar.ts'

const source = 'https://github.com/PipeOpsHQ/pipeops-k8-agent'

/** Set in every image: one arena of malloc's, and a small young generation (docs/adr/0006). */
const nodeEnv = [
  'PATH=/usr/local/bin:/usr/bin:/bin',
  'MALLOC_ARENA_MAX=1',
  'NODE_OPTIONS=--max-semi-space-size=1 --v8-pool-size=1',
]

const kinds = {
  agent: {
    title: 'PipeOps agent',
    description: 'The sidecars of the agent; the command picks one: /app/<sidecar>.mjs.',
    workspaces: ['apps/link', 'apps/proxy', 'apps/console'],
    files: [
      ...['link.mjs', 'proxy.mjs', 'console.mjs', 'edge.mjs', 'doctor.mjs', 'client-node.mjs'],
      'assets/',
    ],
    entrypoint: ['/usr/local/bin/node'],
    command: ['/app/link.mjs'],
  },
  'control-plane': {
    title: 'PipeOps control plane',
    description: 'The control plane of the agent, with the nats-server that keeps its state.',
    workspaces: ['apps/control-plane'],
    files: ['control-plane.mjs', 'ctl.mjs'],
    entrypoint: ['/usr/local/bin/node'],
    command: ['--initial-old-space-size=64', '/app/control-plane.mjs'],
  },
  nats: {
    title: 'nats-server',
    description: 'The bus, for machines that reach no registry.',
    workspaces: [],
    files: [],
    entrypoint: ['/usr/local/bin/nats-server'],
    command: [],
  },
} as const
export type ImageKind = keyof typeof kinds

export type BuildOptions = {
  /** Is filled with bundles, the same for every architecture. */
  bundleDir: string
  /** Before the kind, as `localhost/pipeops-`. */
  prefix: string
  tag: string
  /** This machine's by default. */
  arch?: ImageArch
  progress?: Progress
}

/** Builds the images: no daemon, no registry of images. */
export async function buildImages(options: BuildOptions): Promise<Record<ImageKind, Image>> {
  const { bundleDir, progress = () => {} } = options
  progress('bundling …')
  await rm(bundleDir, { recursive: true, force: true })
  await bundleAll(progress, bundleDir)
  return packImages(options)
}

/** As `buildImages`, from bundles that are there. */
export async function packImages(options: BuildOptions): Promise<Record<ImageKind, Image>> {
  const { bundleDir, prefix, tag, arch = machineArch, progress = () => {} } = options
  const { version, commit, created } = await readSources()
  progress(`packing images for ${arch} …`)
  const [nats, node] = await Promise.all([
    createNatsLayer(arch, progress),
    createNodeLayer(arch, progress),
  ])

  async function pack(kind: ImageKind, below: SystemLayer[]): Promise<Image> {
    const { title, description, workspaces, files, entrypoint, command } = kinds[kind]
    const sbom = await createSbom({
      root,
      apps: [...workspaces],
      parts: below.flatMap(({ parts }) => parts),
      name: `pipeops-${kind}`,
      version,
      created,
    })
    const layer = await createLayer([
      ...(await readBundles(bundleDir, files)),
      { path: 'usr/share/sbom/image.cdx.json', data: Buffer.from(sbom) },
    ])
    return createImage({
      name: `${prefix}${kind}:${tag}`,
      arch,
      layers: [...below.map((each) => each.layer), layer],
      created,
      config: {
        User: '1000:1000',
        Env: kind === 'nats' ? nodeEnv.slice(0, 1) : nodeEnv,
        Entrypoint: [...entrypoint],
        Cmd: [...command],
        WorkingDir: '/',
        Labels: {
          'org.opencontainers.image.title': title,
          'org.opencontainers.image.description': description,
          'org.opencontainers.image.version': version,
          'org.opencontainers.image.revision': commit,
          'org.opencontainers.image.created': created,
          'org.opencontainers.image.source': source,
          'org.opencontainers.image.licenses': 'MIT',
        },
      },
    })
  }

  return {
    agent: await pack('agent', [node]),
    'control-plane': await pack('control-plane', [node, nats]),
    nats: await pack('nats', [nats]),
  }
}

/** The bills of the npm packages in the bundles, for images that are built on another base; `<kind>.cdx.json` each. */
export async function writePackageSboms(dir: string): Promise<void> {
  const { version, created } = await readSources()
  for (const kind of ['agent', 'control-plane'] as const) {
    const options = { root, apps: [...kinds[kind].workspaces], parts: [] }
    const sbom = await createSbom({ ...options, name: `pipeops-${kind}`, version, created })
    await writeFile(join(dir, `${kind}.cdx.json`), sbom)
  }
}

/** What is built: the version, the commit and its date. */
async function readSources(): Promise<{ version: string; commit: string; created: string }> {
  const text = await readFile(join(root, 'package.json'), 'utf8')
  const { version } = JSON.parse(text) as { version: string }
  // Without git: the oldest time that a tar archive can tell.
  const { commit = 'unknown', date = '1970-01-01T00:00:00Z' } = (await readRevision(root)) ?? {}
  return { version, commit, created: date }
}

/** Bundles with the licences of what is in them, and folders, as entries below /app; source maps stay outside. */
async function readBundles(dir: string, names: readonly string[]): Promise<TarEntry[]> {
  const entries: TarEntry[] = []
  for (const name of names) {
    const inside = name.endsWith('/') ? await readdir(join(dir, name)) : ['', '.LEGAL.txt']
    for (const file of inside) {
      const path = `${name}${file}`
      entries.push({ path: `app/${path}`, data: await readFile(join(dir, path)) })
    }
  }
  return entries
}
