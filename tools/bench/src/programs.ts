import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { cacheDir, findProgram, hostFolders, type Progress } from '@agent/toolbox'

const run = promisify(execFile)
const packages = ['nginx', 'openssh-server', 'openssh-client']
const names = ['nginx', 'sshd', 'ssh', 'ssh-keygen'] as const
const systemDirs = ['/usr/sbin', '/sbin', '/usr/bin']

/** The programs of others that the benchmark runs, and the environment they need. */
export type Programs = Record<(typeof names)[number], string> & { env: Record<string, string> }

/**
 * Finds nginx and OpenSSH on PATH, or takes them out of their Debian packages into a directory of our own: nothing is
 * installed, and no SSH server is left running on the machine.
 */
export async function findPrograms(
  scope: AsyncDisposableStack,
  progress: Progress,
): Promise<Programs> {
  const installed = await findAll(hostFolders)
  if (installed !== undefined) return { ...installed, env: {} }
  progress('fetching Debian’s nginx and OpenSSH (unpacked for this run, not installed) …')
  const archives = join(cacheDir(), '..', 'bench-debian')
  await download(archives)
  // Not below a home directory: the SSH server runs as an ordinary user, who must be able to enter.
  const root = await mkdtemp(join(tmpdir(), 'pipeops-bench-programs-'))
  scope.defer(() => rm(root, { recursive: true, force: true }))
  await chmod(root, 0o755)
  for (const file of await readdir(archives)) {
    if (file.endsWith('.deb')) await run('dpkg', ['-x', join(archives, file), root])
  }
  const unpackedLibs = join(root, 'usr/lib')
  const libraries = (await readdir(unpackedLibs))
    .filter((each) => each.includes('-linux-gnu'))
    .map((each) => join(unpackedLibs, each))
  const unpacked = await findAll([...systemDirs.map((dir) => join(root, dir)), ...systemDirs])
  if (unpacked === undefined) throw new Error(`${names.join(', ')}: not all are in ${archives}`)
  return { ...unpacked, env: { LD_LIBRARY_PATH: libraries.join(':') } }
}

async function download(archives: string): Promise<void> {
  await mkdir(join(archives, 'partial'), { recursive: true })
  if ((await readdir(archives)).some((file) => file.startsWith('nginx_'))) return
  try {
    await run('apt-get', [
      ...['install', '--download-only', '--no-install-recommends', '--yes'],
      ...['-o', 'Debug::NoLocking=true', '-o', `Dir::Cache::archives=${archives}/`],
      ...packages,
    ])
  } catch (cause) {
    const { stderr = '', code } = cause as { stderr?: string; code?: string | number }
    throw new Error(
      code === 'ENOENT'
        ? 'nginx and an OpenSSH server are needed: install both (their services may stay off) so that they are on PATH'
        : `Debian’s packages ${packages.join(', ')} cannot be fetched; run apt-get update, or install them.\n${stderr}`,
      { cause },
    )
  }
}

async function findAll(
  dirs: readonly string[],
): Promise<Record<(typeof names)[number], string> | undefined> {
  const found: [string, string][] = []
  for (const name of names) {
    const file = await findProgram(name, dirs)
    if (file === undefined) return undefined
    found.push([name, file])
  }
  return Object.fromEntries(found) as Record<(typeof names)[number], string>
}
