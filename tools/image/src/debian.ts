import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'

import { type Progress, withLock } from '@agent/toolbox'

import type { ImageArch } from './architecture.ts'

const run = promisify(execFile)
/** How long packages are taken for the newest. */
const freshMs = 24 * 3_600_000
const fetchMs = 120_000

/** A library out of a package; the version is the package's. */
export type PackagedLibrary = { data: Buffer; version: string }

/**
 * The shared libraries of Debian packages of any architecture, by name. What they are and where they come from is this
 * machine's apt's to say, and so is whether they are genuine; nothing is installed. Packages are kept in `cache` for a day.
 */
export async function fetchLibraries(options: {
  arch: ImageArch
  packages: string[]
  cache: string
  progress: Progress
}): Promise<Map<string, PackagedLibrary>> {
  const { arch, packages, cache, progress } = options
  const dir = join(cache, `debian-${arch}`)
  await mkdir(cache, { recursive: true })
  return withLock(`${dir}.lock`, { progress }, async () => {
    const kept = await listPackages(dir, packages)
    if (kept === undefined || (await ageMs(dir)) > freshMs) {
      progress(`fetching Debian’s ${packages.join(', ')} for ${arch} …`)
      try {
        await replace(dir, (fresh) => download(fresh, arch, packages))
      } catch (error) {
        if (kept === undefined) throw error
        progress(`apt gives nothing newer, so the packages of ${dir} are used as they are`)
      }
    }
    return unpack(dir, (await listPackages(dir, packages)) ?? [])
  })
}

/** apt in a state of its own: another architecture's lists beside the machine's, which stays as it is. */
async function download(dir: string, arch: ImageArch, packages: string[]): Promise<void> {
  const state = await mkdtemp(`${dir}-apt-`)
  await using scope = new AsyncDisposableStack()
  scope.defer(() => rm(state, { recursive: true, force: true }))
  const installed = join(state, 'status')
  await writeFile(installed, '')
  await mkdir(join(state, 'lists/partial'), { recursive: true })
  const settings = Object.entries({
    'APT::Architecture': arch,
    'APT::Architectures': arch,
    'APT::Sandbox::User': '',
    'Dir::State::lists': join(state, 'lists'),
    'Dir::State::status': installed,
    'Dir::Cache': join(state, 'cache'),
    // Of the lists, only that of the packages.
    'Acquire::Languages': 'none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
    'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled': 'false',
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  const apt = (...args: string[]) =>
    run('apt-get', ['--quiet', ...settings, ...args], { cwd: dir, timeout: fetchMs })
  try {
    await apt('update')
    await apt('download', ...packages)
  } catch (cause) {
    const { stderr, code } = cause as { stderr?: string; code?: unknown }
    throw new Error(
      code === 'ENOENT'
        ? `the C library of ${arch} comes from Debian’s packages, and apt-get is not here: build on Debian, or on ${arch} itself`
        : `apt does not deliver ${packages.join(', ')} for ${arch}: see that its sources have that architecture\n${stderr}`,
      { cause },
    )
  }
}

async function replace(dir: string, fill: (fresh: string) => Promise<void>): Promise<void> {
  const fresh = await mkdtemp(`${dir}-`)
  try {
    await fill(fresh)
    await rm(dir, { recursive: true, force: true })
    await rename(fresh, dir)
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
}

/** The packages' files in order; undefined when one is missing. */
async function listPackages(dir: string, packages: string[]): Promise<string[] | undefined> {
  const files = await readdir(dir).catch((): string[] => [])
  const found = packages.flatMap((name) => files.filter((file) => file.startsWith(`${name}_`)))
  return found.length === packages.length ? found.map((file) => join(dir, file)) : undefined
}

async function unpack(dir: string, files: string[]): Promise<Map<string, PackagedLibrary>> {
  const libraries = new Map<string, PackagedLibrary>()
  const root = await mkdtemp(`${dir}-root-`)
  await using scope = new AsyncDisposableStack()
  scope.defer(() => rm(root, { recursive: true, force: true }))
  for (const file of files) {
    const into = join(root, basename(file))
    await run('dpkg', ['--extract', file, into])
    // Debian's names are <package>_<version>_<architecture>.deb, an epoch's colon escaped.
    const version = decodeURIComponent(basename(file).split('_')[1] as string)
    for (const entry of await readdir(into, { recursive: true, withFileTypes: true })) {
      if (entry.isDirectory() || !/^(lib|ld-).*\.so\.\d+$/.test(entry.name)) continue
      const data = await readFile(join(entry.parentPath, entry.name))
      libraries.set(entry.name, { data, version })
    }
  }
  return libraries
}

async function ageMs(dir: string): Promise<number> {
  return Date.now() - (await stat(dir)).mtimeMs
}
