import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { mirrorReleases, testVersions } from './fake-releases.testing.ts'
import { repoDir, run, type Run, scriptPath } from './script.testing.ts'

/** What the script may count on: these and no others are on the fake machine's PATH. */
const basics =
  'awk cat chmod cp env grep gzip head ln mkdir mv rm rmdir sed sh sha256sum sleep stty tar touch tr true'
const programs = 'curl df id nproc uname'

export type FakeMachineOptions = {
  /** Programs besides the basics, from fakes/. */
  tools?: string[]
  /** The kubectl context that is there before, and what is in it. */
  context?: string
  root?: boolean
  docker?: boolean
  memoryMb?: number
}

export type FakeMachine = AsyncDisposable & {
  dir: string
  env: Record<string, string>
  /** Runs the script; `base` instead of the machine's own environment. */
  run(args: string[], env?: Record<string, string>, base?: Record<string, string>): Promise<Run>
  /** Every call of a fake program so far, oldest first. */
  calls(): Promise<string[]>
  /** What exists on the machine and in its clusters, as paths; never the fakes' own notes. */
  contents(): Promise<string[]>
  read(path: string): Promise<string>
  write(path: string, text: string): Promise<void>
  remove(...paths: string[]): Promise<void>
  /** Forgets calls and counts, so that a test sees only what comes next. */
  forgetCalls(): Promise<void>
}

const notes = ['calls', 'environments', 'changes', 'secret.yaml']

/** A machine made of files: a PATH of recording programs, a system root, a mirror of the downloads. */
export async function createFakeMachine(options: FakeMachineOptions = {}): Promise<FakeMachine> {
  const dir = await mkdtemp(join(tmpdir(), 'installer-'))
  const fakes = join(repoDir, 'tools/installer/fakes')
  await cp(fakes, join(dir, 'fakes'), { recursive: true })
  await mkdir(join(dir, 'bin'))
  for (const name of basics.split(' ')) await symlink(await find(name), join(dir, 'bin', name))
  const tools = [...programs.split(' '), ...(options.tools ?? [])]
  for (const name of options.docker === true ? [...tools, 'docker'] : tools) {
    await symlink(join(dir, 'fakes', name), join(dir, 'bin', name))
  }
  const write = async (path: string, text: string) => {
    await mkdir(join(dir, path, '..'), { recursive: true })
    await writeFile(join(dir, path), text)
  }
  const isRoot = options.root ?? true
  const memoryMb = options.memoryMb ?? 8000
  await write('system', 'Linux\n')
  await write('processor', 'x86_64\n')
  await write('user', isRoot ? '0\n' : '1000\n')
  await write('processors', '4\n')
  await write('disk-kb', '60000000\n')
  await write('root/proc/version', 'Linux version 6.1.0 (debian)\n')
  await write('root/proc/meminfo', `MemTotal: ${memoryMb * 1024} kB\n`)
  await write('root/proc/net/tcp', '  sl  local_address rem_address   st\n')
  await mkdir(join(dir, 'root/run/systemd/system'), { recursive: true })
  for (const path of ['root/usr/local/bin', 'root/var/lib', 'clusters', 'home']) {
    await mkdir(join(dir, path), { recursive: true })
  }
  if (options.docker === true) await write('docker-answers', '')
  if (options.context !== undefined) {
    const cluster = `clusters/${options.context}`
    await write('current-context', options.context)
    await write(`${cluster}/definitions/widgets.example.com`, '')
    await mkdir(join(dir, cluster, 'classes'), { recursive: true })
    await write(`${cluster}/namespaces/default/deployment-shop`, '')
    await write(`${cluster}/namespaces/default/configmap-kube-root-ca.crt`, '')
  }
  const gatewaySum = await mirrorReleases(join(dir, 'mirror'), join(dir, 'fakes'))
  const env = {
    PATH: join(dir, 'bin'),
    HOME: join(dir, 'home'),
    FAKE: dir,
    PIPEOPS_SYSROOT: join(dir, 'root'),
    PIPEOPS_GATEWAY_API_SHA256: gatewaySum,
    ...testVersions,
  }
  return {
    dir,
    env,
    write,
    run: (args, more = {}, base = env) =>
      run('/bin/sh', [scriptPath, ...args], { env: { ...base, ...more } }),
    read: (path) => readFile(join(dir, path), 'utf8'),
    calls: async () =>
      (await readFile(join(dir, 'calls'), 'utf8').catch(() => '')).split('\n').slice(0, -1),
    contents: async () => {
      const [system, home, clusters] = await Promise.all(
        ['root', 'home', 'clusters'].map((part) => readdir(join(dir, part), { recursive: true })),
      )
      return [...(system ?? []), ...(home ?? []), ...(clusters ?? [])].toSorted()
    },
    remove: async (...paths) => {
      for (const path of paths) await rm(join(dir, path), { recursive: true })
    },
    forgetCalls: async () => {
      for (const note of notes) await rm(join(dir, note), { force: true })
    },
    [Symbol.asyncDispose]: async () => {
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function find(name: string): Promise<string> {
  for (const path of ['/bin', '/usr/bin', '/usr/local/bin']) {
    const names = await readdir(path).catch(() => [] as string[])
    if (names.includes(name)) return join(path, name)
  }
  throw new Error(`no ${name} on this machine: the installer's tests need it`)
}
