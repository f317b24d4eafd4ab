import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { hostPath, takeOwnerLock } from '@agent/toolbox'

import { run, tryRun } from './node-host.ts'

const endMs = 10_000

/** What a node's space is called on its machine: everything the host sees of it, and all that is ever taken away. */
export type SpaceNames = {
  /** Network namespace and control group. */
  name: string
  /** The host's end of the one link into the namespace. */
  link: string
  /** A network of four addresses, for the two ends of that link. */
  network: string
  hostAddress: string
  address: string
}

/** A network and mount namespace and a control group of our own; at its end, everything in it is gone. */
export type NodeSpace = AsyncDisposable & {
  /** Put before a command, runs it inside; the process keeps its pid. */
  prefix: string[]
}

/** Folders that kubelet, containerd and CNI plugins share with whoever else runs them; inside, they are ours. */
const privateFolders = [
  '/run/containerd',
  '/run/netns',
  '/var/lib/cni',
  '/var/lib/kubelet',
  '/var/log/containers',
  '/var/log/pods',
]
/** Kernel settings of the whole machine that kubelet writes; inside, it writes to copies. */
const privateSettings = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
]

/** Opens a space; throws, with the reason, where it is in use or its network is taken. `dir` starts empty, for its files. */
export async function openNodeSpace(names: SpaceNames, dir: string): Promise<NodeSpace> {
  await using scope = new AsyncDisposableStack()
  const lock = await takeOwnerLock(`/run/${names.name}.pid`)
  if (!lock.isOurs) {
    throw new Error(`a whole node runs already, as process ${lock.owner}: one at a time`)
  }
  scope.defer(() => lock.release())
  await endSpace(names)
  const taken = (await tryRun('ip', 'route', 'show', 'table', 'all', 'root', names.network)).trim()
  if (taken !== '') {
    throw new Error(
      `a whole node needs the network ${names.network}, which this machine uses: ${taken}`,
    )
  }
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { recursive: true, mode: 0o700 })
  scope.defer(() => endSpace(names))
  await makeNetwork(names)
  await makeGroups(names.name)
  const holder = await holdMounts(names.name, dir, scope)

  const owned = scope.move()
  return {
    prefix: ['nsenter', `--net=/run/netns/${names.name}`, `--mount=/proc/${holder}/ns/mnt`, '--'],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function makeNetwork({ name, link, hostAddress, address }: SpaceNames): Promise<void> {
  const inside = (...args: string[]) => run('nsenter', [`--net=/run/netns/${name}`, ...args])
  await run('ip', ['netns', 'add', name])
  await run('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'host', 'netns', name])
  await run('ip', ['address', 'add', `${hostAddress}/30`, 'dev', link])
  await run('ip', ['link', 'set', link, 'up'])
  await inside('ip', 'link', 'set', 'lo', 'up')
  await inside('ip', 'address', 'add', `${address}/30`, 'dev', 'host')
  await inside('ip', 'link', 'set', 'host', 'up')
  await inside('ip', 'route', 'add', 'default', 'via', hostAddress)
  await inside('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
}

/** Keeps a mount namespace alive with one process, in which the shared folders and settings are ours; returns its pid. */
async function holdMounts(name: string, dir: string, scope: AsyncDisposableStack): Promise<number> {
  const mounts: string[] = []
  for (const path of privateFolders) {
    const ours = join(dir, 'private', path)
    await mkdir(ours, { recursive: true })
    const made = await mkdir(path, { recursive: true })
    if (made !== undefined) scope.defer(() => rmdir(path).catch(() => {}))
    mounts.push(`mount --bind '${ours}' ${path}`)
  }
  for (const setting of privateSettings) {
    const path = join('/proc/sys', setting)
    const ours = join(dir, 'private', path)
    await mkdir(join(ours, '..'), { recursive: true })
    // Its size reads as 0, which a copy would believe.
    await writeFile(ours, await readFile(path))
    mounts.push(`mount --bind '${ours}' ${path}`)
  }
  const script = `set -e\n${mounts.join('\n')}\necho ready\nexec sleep 2147483647`
  const child = spawn(
    'nsenter',
    [
      `--net=/run/netns/${name}`,
      ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script],
    ],
    { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: hostPath } },
  )
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')))
  const exited = once(child, 'exit')
  const first = await Promise.race([once(child.stdout, 'data'), exited.then(() => undefined)])
  if (first === undefined) throw new Error(`no mount namespace can be made here: ${errors.trim()}`)
  child.stdout.destroy()
  child.stderr.destroy()
  child.unref()
  return child.pid as number
}

/** The group that pods are put below: one in each hierarchy, or the only one (cgroups(7)). */
async function makeGroups(name: string): Promise<void> {
  for (const root of await groupRoots()) {
    await mkdir(join(root, name), { recursive: true })
    const controllers = await readFile(join(root, 'cgroup.controllers'), 'utf8').catch(() => '')
    for (const each of controllers.trim().split(' ').filter(Boolean)) {
      await writeFile(join(root, 'cgroup.subtree_control'), `+${each}`).catch(() => {})
    }
  }
}

/** Where control groups' hierarchies begin. */
export async function groupRoots(): Promise<string[]> {
  const root = '/sys/fs/cgroup'
  const entries = await readdir(root, { withFileTypes: true })
  if (entries.some((entry) => entry.name === 'cgroup.controllers')) return [root]
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(root, entry.name))
}

/** Ends every process of a space, then takes the space away: also one whose owner was killed. */
async function endSpace({ name, link }: SpaceNames): Promise<void> {
  const deadline = performance.now() + endMs
  for (;;) {
    const pids = await pidsOf(name)
    if (pids.length === 0) break
    if (performance.now() > deadline) {
      throw new Error(`processes of the whole node do not end: ${pids.join(', ')}`)
    }
    for (const pid of pids) kill(pid)
    await delay(50)
  }
  await tryRun('ip', 'link', 'delete', link)
  await tryRun('ip', 'netns', 'delete', name)
  for (const group of await ourGroups(name)) await rmdir(group).catch(() => {})
}

/** Our control groups, the innermost first. */
async function ourGroups(name: string): Promise<string[]> {
  const found: string[] = []
  for (const root of await groupRoots()) {
    found.push(...(await tryRun('find', join(root, name), '-depth', '-type', 'd')).split('\n'))
  }
  return found.filter(Boolean)
}

/** Who is in the network namespace (the node's programs) or below the control group (its containers). */
async function pidsOf(name: string): Promise<number[]> {
  const lines = [await tryRun('ip', 'netns', 'pids', name)]
  for (const group of await ourGroups(name)) {
    lines.push(await readFile(join(group, 'cgroup.procs'), 'utf8').catch(() => ''))
  }
  return [...new Set(lines.join('\n').split('\n').map(Number))].filter((pid) => pid > 0)
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Gone already.
  }
}
