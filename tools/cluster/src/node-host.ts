import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'
import { promisify } from 'node:util'

import type { Progress } from '@agent/toolbox'

const exec = promisify(execFile)

/** A person's PATH often lacks the folders that administrators' programs are in. */
export const hostPath = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`

/** Runs a program of the host. */
export function run(program: string, args: string[], timeoutMs = 600_000) {
  const env = { ...process.env, PATH: hostPath, DEBIAN_FRONTEND: 'noninteractive' }
  return exec(program, args, { env, timeout: timeoutMs })
}

/** Debian packages that a whole node needs, and a file each of them brings. */
const packages: Record<string, string> = {
  containerd: '/usr/bin/containerd',
  runc: '/usr/sbin/runc',
  'containernetworking-plugins': '/usr/lib/cni/bridge',
  iptables: '/usr/sbin/iptables',
  conntrack: '/usr/sbin/conntrack',
  socat: '/usr/bin/socat',
  ethtool: '/usr/sbin/ethtool',
  iproute2: '/usr/bin/ip',
  'busybox-static': '/bin/busybox',
}

/** Says why no whole node can run on this machine; undefined where one can. */
export function whyNoNode(): string | undefined {
  if (process.platform !== 'linux') return 'a whole node needs Linux'
  if (process.getuid?.() !== 0)
    return 'a whole node needs root: run it with sudo, or in a container with all capabilities'
  return undefined
}

/** Installs what is missing; throws where the machine has no apt. */
export async function installPackages(progress: Progress): Promise<void> {
  const missing: string[] = []
  for (const [name, file] of Object.entries(packages)) {
    if (
      !(await access(file).then(
        () => true,
        () => false,
      ))
    )
      missing.push(name)
  }
  if (missing.length === 0) return
  progress(`installing ${missing.join(', ')} …`)
  try {
    await run('apt-get', ['update'])
    await run('apt-get', ['install', '-y', '--no-install-recommends', ...missing])
  } catch (cause) {
    throw new Error(
      `a whole node needs these programs, and they cannot be installed: ${missing.join(', ')}`,
      { cause },
    )
  }
}

/** Runs a command and ignores that there may be nothing left to do. */
export async function tryRun(program: string, ...args: string[]): Promise<string> {
  return run(program, args).then(
    ({ stdout }) => stdout,
    () => '',
  )
}

/** Takes away what a node leaves in the kernel: rules, links, mounts, namespaces, address, cgroups. */
export async function cleanHost(names: {
  bridge: string
  address: string
  dir: string
}): Promise<void> {
  for (const table of ['nat', 'filter', 'mangle']) {
    const rules = (await tryRun('iptables-save', '-t', table)).split('\n')
    const ours = /KUBE-|CNI-|cni0|pipeops/
    const kept = rules.filter((line) => !ours.test(line))
    if (kept.length === rules.length) continue
    await restore(kept.join('\n'))
  }
  for (const line of (await tryRun('ip', '-o', 'link')).split('\n')) {
    const name = /^\d+: (veth[0-9a-f]+)@/.exec(line)?.[1]
    if (name !== undefined) await tryRun('ip', 'link', 'delete', name)
  }
  await tryRun('ip', 'link', 'delete', names.bridge)
  await tryRun('ip', 'link', 'delete', 'kube-ipvs0')
  await tryRun('ip', 'address', 'delete', `${names.address}/32`, 'dev', 'lo')
  for (const name of (await tryRun('ip', 'netns', 'list')).split('\n')) {
    const id = name.split(' ')[0] ?? ''
    if (id.startsWith('cni-')) await tryRun('ip', 'netns', 'delete', id)
  }
  const mounts = (await tryRun('cat', '/proc/mounts'))
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
  for (const mount of mounts.filter((path) => path.startsWith(names.dir)).toReversed()) {
    await tryRun('umount', '-l', mount)
  }
  for (const controllers of (
    await tryRun('find', '/sys/fs/cgroup', '-depth', '-type', 'd', '-path', '*kubepods*')
  ).split('\n')) {
    if (controllers !== '') await tryRun('rmdir', controllers)
  }
}

function restore(rules: string): Promise<void> {
  return new Promise((resolve) => {
    const child = execFile('iptables-restore', { env: { PATH: hostPath } }, () => resolve())
    child.stdin?.end(`${rules}\n`)
  })
}
