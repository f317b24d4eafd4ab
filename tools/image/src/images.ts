import { execFile } from 'node:child_process'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { bundleAll, readRevision, root } from '@agent/bundle'
import { type Progress, resolveTool } from '@agent/toolbox'

import { readNodeFiles, rootFiles } from './node-files.ts'
import { createImage, createLayer, type Image, type Layer } from './oci.ts'
import { createSbom, type Part } from './sbom.ts'
import type { TarEntry } from './tar.ts'

const run = promisify(execFile)
const source = 'https://github.com/PipeOpsHQ/pipeops-k8-agent'

/** Set in every image: one arena of malloc's, and a small young generation (docs/adr/0006). */
const nodeEnv = [
  'PATH=/usr/local/bin:/usr/bin:/bin',
  'MALLOC_ARENA_MAX=1',
  'NODE_OPTIONS=--max-semi-space-size=1 --v8-pool-size=0',
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
    command: ['/app/control-plane.mjs'],
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

/** Builds the images for this machine's architecture: no daemon, no registry. `bundleDir` is filled with bundles. */
export async function buildImages(options: {
  bundleDir: string
  /** Before the kind, as `localhost/pipeops-`. */
  prefix: string
  tag: string
  progress?: Progress
}): Promise<Record<ImageKind, Image>> {
  const { bundleDir, prefix, tag, progress = () => {} } = options
  const { version, commit, created } = await readSources()
  const nats = await readNats(progress)
  progress('bundling …')
  await rm(bundleDir, { recursive: true, force: true })
  await bundleAll(progress, bundleDir)
  progress('packing images …')
  const nodeFiles = await readNodeFiles(root)
  const { stdout } = await run(join(root, 'node_modules/.bin/node'), ['--version'])
  const nodeParts = nodeFiles.map(({ path, data }, index): Part =>
    index === 0
      ? { name: path, version: stdout.trim().slice(1), data, type: 'application' }
      : { name: path, data, type: 'file' },
  )
  const base = await createLayer([...rootFiles, ...nodeFiles])
  const natsLayer = await createLayer([nats.entry])

  async function build(kind: ImageKind, below: Layer[], parts: Part[]): Promise<Image> {
    const { title, description, workspaces, files, entrypoint, command } = kinds[kind]
    const sbom = await createSbom({
      root,
      apps: [...workspaces],
      parts,
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
      layers: [...below, layer],
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
    agent: await build('agent', [base], nodeParts),
    'control-plane': await build('control-plane', [base, natsLayer], [...nodeParts, nats.part]),
    nats: await build('nats', [natsLayer], [nats.part]),
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

async function readNats(progress: Progress): Promise<{ entry: TarEntry; part: Part }> {
  const program = await resolveTool('nats-server', { progress })
  const { stdout } = await run(program, ['--version'])
  const version = /v(\d\S*)/.exec(stdout)?.[1] ?? 'unknown'
  const data = await readFile(program)
  const path = 'usr/local/bin/nats-server'
  return {
    entry: { path, mode: 0o755, data },
    part: { name: path, version, data, type: 'application' },
  }
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
