import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import { findProgram, hostFolders, hostPath, type Progress } from '@agent/toolbox'

const exec = promisify(execFile)

/** Runs a program of the host. */
export function run(program: string, args: string[], timeoutMs = 600_000) {
  const env = { ...process.env, PATH: hostPath, DEBIAN_FRONTEND: 'noninteractive' }
  return exec(program, args, { env, timeout: timeoutMs })
}

/** Debian packages that a whole node needs, and a program each of them brings. */
const packages: Record<string, string> = {
  containerd: 'containerd',
  runc: 'runc',
  'containernetworking-plugins': 'host-local',
  iptables: 'iptables',
  conntrack: 'conntrack',
  socat: 'socat',
  ethtool: 'ethtool',
  iproute2: 'ip',
  'util-linux': 'nsenter',
  'busybox-static': 'busybox',
}
/** Where Debian and everybody else put CNI plugins. */
const pluginFolders = ['/usr/lib/cni', '/opt/cni/bin']

/** The path of a program of the host, or of a CNI plugin; undefined where there is none. */
export function findOnHost(program: string): Promise<string | undefined> {
  return findProgram(program, [...hostFolders, ...pluginFolders])
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
  for (const [name, program] of Object.entries(packages)) {
    if ((await findOnHost(program)) === undefined) missing.push(name)
  }
  if (missing.length === 0) return
  progress(`installing ${missing.join(', ')} …`)
  try {
    await run('apt-get', ['update'])
    // Debian's runc and Docker's containerd.io exclude each other: rather fail than take Docker away.
    await run('apt-get', [
      ...['install', '-y', '--no-remove', '--no-install-recommends'],
      ...missing,
    ])
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
