import { execFile } from 'node:child_process'
import { readdir, readFile, realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'

import type { TarEntry } from './tar.ts'

const run = promisify(execFile)

/** Before glibc 2.34 names were resolved by libraries that nothing links: they are opened by name. */
export const openedByName = /^lib(nss_(dns|files)|resolv)\.so\.2$/

/** A file in the image that is neither ours nor an npm package. */
export type SystemFile = TarEntry & { data: Buffer; mode: number; version?: string }

/** The pinned Node binary, its loader and the shared libraries that the loader would find on this machine. */
export async function readNodeFiles(root: string): Promise<SystemFile[]> {
  const program = await realpath(join(root, 'node_modules/.bin/node'))
  const { stdout } = await run('ldd', [program], {
    env: { ...process.env, LC_ALL: 'C' },
  })
  const found = stdout.split('\n').flatMap((line) => {
    const path = /(?:=>\s+)?(\/\S+) \(0x/.exec(line)?.[1]
    return path === undefined ? [] : [path]
  })
  if (found.length === 0 || stdout.includes('not found')) {
    throw new Error(`the libraries of ${program} cannot be told:\n${stdout}`)
  }
  const loader = found.find((path) => basename(path).startsWith('ld-linux')) as string
  const libc = found.find((path) => basename(path) === 'libc.so.6') as string
  const beside = await readdir(dirname(libc))
  const more = beside
    .filter((name) => openedByName.test(name))
    .map((name) => join(dirname(libc), name))
  const version = await run(program, ['--version'])
  const libraries = [...found.filter((path) => path !== loader), ...more]
  return [
    { ...(await file(program, 'usr/local/bin/node')), version: version.stdout.trim().slice(1) },
    // Where the binary itself says that it is.
    await file(loader, loader.slice(1)),
    ...(await Promise.all(libraries.map((path) => file(path, `usr/lib/${basename(path)}`)))),
  ]
}

/** What a program finds in an otherwise empty root: who it is, and where names come from. */
export const rootFiles: TarEntry[] = [
  ...['proc/', 'sys/', 'dev/', 'run/', 'app/'].map((path) => ({ path })),
  { path: 'tmp/', mode: 0o1777 },
  // A new volume of Docker's takes its owner from the folder it is mounted over (docker-compose.yml).
  ...['data/', 'run/pod/', 'run/agent/', 'run/cluster/'].map((path) => ({
    path,
    mode: 0o700,
    owner: 1_000,
  })),
  text('etc/passwd', 'root:x:0:0::/:/sbin/nologin\nagent:x:1000:1000::/tmp:/sbin/nologin\n'),
  text('etc/group', 'root:x:0:\nagent:x:1000:\n'),
  text('etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n'),
]

function text(path: string, content: string): TarEntry {
  return { path, data: Buffer.from(content) }
}

async function file(source: string, path: string): Promise<SystemFile> {
  return { path, mode: 0o755, data: await readFile(source) }
}
