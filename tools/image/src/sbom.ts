import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What of package-lock.json (lockfileVersion 3) tells one package from another. */
type Locked = {
  name?: string
  version?: string
  license?: string
  integrity?: string
  resolved?: string
  link?: boolean
  dependencies?: Record<string, string>
}
type Lock = { packages: Record<string, Locked> }

/** Something in an image that npm did not bring. */
export type Part = {
  name: string
  version?: string
  data: Uint8Array
  type: 'file' | 'application'
}

export type SbomOptions = {
  root: string
  /** Folders of the apps in the image, as in package-lock.json. */
  apps: string[]
  parts: Part[]
  name: string
  version: string
  created: string
}

/** A bill of materials (CycloneDX 1.6): every npm package that the apps depend on, and every other program and library. */
export async function createSbom(options: SbomOptions): Promise<string> {
  const { root, apps, parts, name, version, created } = options
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as Lock
  const components = [
    ...reachable(lock, apps).map(([path, locked]) => npmComponent(path, locked)),
    ...parts.map(({ name, version, data, type }) => ({
      type,
      'bom-ref': `file:${name}`,
      name,
      ...(version === undefined ? {} : { version }),
      hashes: [{ alg: 'SHA-256', content: createHash('sha256').update(data).digest('hex') }],
    })),
  ]
  return `${JSON.stringify(
    {
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      version: 1,
      metadata: {
        timestamp: created,
        component: { type: 'container', 'bom-ref': name, name, version },
      },
      components: components.toSorted((a, b) => (a['bom-ref'] < b['bom-ref'] ? -1 : 1)),
    },
    null,
    2,
  )}\n`
}

/** The packages from a registry that are reached from the apps over run-time dependencies, each once. */
function reachable({ packages }: Lock, apps: string[]): [string, Locked][] {
  const seen = new Set<string>()
  const waiting = [...apps]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const locked = packages[path]
    if (locked === undefined) throw new Error(`package-lock.json knows no ${path}: npm install`)
    // A workspace is listed as a link to its folder.
    if (locked.link === true) {
      waiting.push(locked.resolved as string)
      continue
    }
    if (seen.has(path)) continue
    seen.add(path)
    for (const name of Object.keys(locked.dependencies ?? {})) {
      const found = resolve(packages, path, name)
      if (found !== undefined) waiting.push(found)
    }
  }
  return [...seen]
    .filter((path) => path.includes('node_modules/'))
    .map((path) => [path, packages[path] as Locked])
}

/** As Node looks a package up: in the nearest node_modules, then further out. */
function resolve(packages: Lock['packages'], from: string, name: string): string | undefined {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/')))) {
    const path = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`
    if (path in packages) return path
    if (folder === '') return undefined
  }
}

function npmComponent(path: string, { version = '', license, integrity }: Locked) {
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`
  const [algorithm, base64] = integrity?.split('-') ?? []
  return {
    type: 'library' as const,
    'bom-ref': `${purl}#${path}`,
    name,
    version,
    purl,
    ...(license === undefined ? {} : { licenses: [toLicense(license)] }),
    ...(algorithm === 'sha512' && base64 !== undefined
      ? {
          hashes: [{ alg: 'SHA-512', content: Buffer.from(base64, 'base64').toString('hex') }],
        }
      : {}),
  }
}

function toLicense(license: string) {
  return /[ ()]/.test(license) ? { expression: license } : { license: { id: license } }
}
