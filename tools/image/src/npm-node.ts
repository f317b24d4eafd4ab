import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { type Progress, withLock } from '@agent/toolbox'

import { type ImageArch, toNodeArch } from './architecture.ts'

const run = promisify(execFile)
const fetchMs = 300_000
const programBytes = 2 ** 29

/**
 * The Node of another architecture than this machine's: the npm package that package-lock.json pins. Throws unless the
 * package is the very one, by its hash. It is kept in `cache`.
 */
export async function fetchNode(options: {
  root: string
  arch: ImageArch
  cache: string
  progress: Progress
}): Promise<{ version: string; data: Buffer }> {
  const { root, arch, cache, progress } = options
  const name = `node-linux-${toNodeArch(arch)}`
  const { version, integrity } = await readPin(root, name)
  const file = join(cache, `${name}-${version}.tgz`)
  await mkdir(cache, { recursive: true })
  await withLock(`${file}.lock`, { progress }, async () => {
    if (await isGenuine(file, integrity)) return
    progress(`fetching Node ${version} for ${arch} …`)
    const dir = await mkdtemp(`${file}-`)
    try {
      const args = ['pack', `${name}@${version}`, '--silent', '--ignore-scripts']
      await run('npm', [...args, '--pack-destination', dir], { cwd: root, timeout: fetchMs })
      const fetched = join(dir, `${name}-${version}.tgz`)
      if (!(await isGenuine(fetched, integrity))) {
        throw new Error(`${name} ${version} from npm is not what package-lock.json pins`)
      }
      await rename(fetched, file)
    } finally {
      await rm(dir, { recursive: true })
    }
  })
  const { stdout: data } = await run('tar', ['-xzOf', file, 'package/bin/node'], {
    encoding: 'buffer',
    maxBuffer: programBytes,
  })
  return { version, data }
}

async function readPin(
  root: string,
  name: string,
): Promise<{ version: string; integrity: string }> {
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version?: string; integrity?: string }>
  }
  const { version, integrity } = packages[`node_modules/${name}`] ?? {}
  if (version === undefined || integrity?.startsWith('sha512-') !== true) {
    throw new Error(`package-lock.json pins no ${name}: it belongs to optionalDependencies`)
  }
  return { version, integrity }
}

/** A file that is not there is not genuine. */
async function isGenuine(file: string, integrity: string): Promise<boolean> {
  const data = await readFile(file).catch(() => undefined)
  if (data === undefined) return false
  return `sha512-${createHash('sha512').update(data).digest('base64')}` === integrity
}
