import { access, mkdir, readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

import { execute, mustExecute } from '@agent/e2e'
import { cacheDir, hostPath, type Progress } from '@agent/toolbox'

import type { Engine } from './engine.ts'

const composeVersion = '1.6.0'
/** Programs, and the Debian packages that bring them. */
const packages = {
  podman: ['podman', 'netavark', 'aardvark-dns', 'iptables'],
  pip: ['python3-pip'],
}
const missing = 'podman with netavark'
/** podman's networks; distributions put it in one of these. */
const netavark = ['/usr/lib/podman/netavark', '/usr/libexec/podman/netavark']
const installMs = 300_000
/** Bit of CAP_SYS_RESOURCE: without it no process may raise its own limits, and podman's defaults are higher. */
const mayRaiseLimits = 1n << 24n
const limit = 16_384

/** Why podman cannot run here, nor be installed; undefined where it can. */
export async function whyNoPodman(): Promise<string | undefined> {
  if (await hasPodman()) return undefined
  if (process.platform !== 'linux') return `${missing} is not installed`
  if (process.getuid?.() !== 0) return `${missing} is not installed, and only root can install it`
  return (await isProgram('apt-get'))
    ? undefined
    : `${missing} is not installed, and there is no apt`
}

/**
 * podman and podman-compose, installed where they are missing. Images, containers and networks are in folders of our
 * own: a podman that its user has set up is not touched.
 */
export async function openPodman(progress: Progress): Promise<Engine> {
  const dir = join(cacheDir(), '..')
  if (!(await hasPodman())) await install(packages.podman, progress)
  const compose = await installCompose(join(dir, `podman-compose-${composeVersion}`), progress)
  const hasSystemd = await isThere('/run/systemd/system')
  const env = {
    ...(await writeConfig(join(dir, 'podman'), hasSystemd)),
    // Its timers are systemd's; without, nothing asks, and we do.
    ...(hasSystemd ? {} : { DISABLE_HC_SYSTEMD: 'true' }),
    HOME: homedir(),
    PYTHONPATH: compose,
    // netavark calls iptables, which is not on everybody's path.
    PATH: hostPath,
  }
  return {
    name: 'podman',
    env,
    program: 'podman',
    compose: ['python3', '-m', 'podman_compose'],
    async isHealthy(id) {
      return (await execute('podman', ['healthcheck', 'run', id], { env })).code === 0
    },
  }
}

/** Writes containers.conf(5) and storage.conf(5); returns the environment that names them. */
async function writeConfig(dir: string, hasSystemd: boolean): Promise<Record<string, string>> {
  const isRoot = process.getuid?.() === 0
  const runDir = join(isRoot ? '/run' : (process.env['XDG_RUNTIME_DIR'] ?? dir), 'pipeops-podman')
  // What conmon starts again knows the storage's folder alone, and looks for the other two in it.
  const storage = join(dir, 'storage')
  const settings = {
    containers: (await isLimited())
      ? [`default_ulimits = ["nofile=${limit}:${limit}", "nproc=${limit}:${limit}"]`]
      : [],
    engine: [
      `static_dir = "${join(storage, 'libpod')}"`,
      `volume_path = "${join(storage, 'volumes')}"`,
      `tmp_dir = "${join(runDir, 'libpod')}"`,
      ...(hasSystemd ? [] : ['cgroup_manager = "cgroupfs"', 'events_logger = "file"']),
      // crun knows no control groups of the first version beside those of the second.
      ...((await isThere('/sys/fs/cgroup/cgroup.controllers')) ? [] : ['runtime = "runc"']),
    ],
    network: ['network_backend = "netavark"', `network_config_dir = "${join(dir, 'networks')}"`],
  }
  const lines = Object.entries(settings).flatMap(([name, lines]) => [`[${name}]`, ...lines])
  const storageLines = ['[storage]', 'driver = "overlay"', `graphroot = "${storage}"`]
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const files = {
    CONTAINERS_CONF: join(dir, 'containers.conf'),
    CONTAINERS_STORAGE_CONF: join(dir, 'storage.conf'),
  }
  await writeFile(files.CONTAINERS_CONF, `${lines.join('\n')}\n`)
  await writeFile(
    files.CONTAINERS_STORAGE_CONF,
    `${[...storageLines, `runroot = "${join(runDir, 'storage')}"`].join('\n')}\n`,
  )
  return files
}

async function isLimited(): Promise<boolean> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '')
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'
  return (BigInt(`0x${effective}`) & mayRaiseLimits) === 0n
}

/** podman-compose from PyPI, in a folder of its own; Debian's is too old. */
async function installCompose(dir: string, progress: Progress): Promise<string> {
  if (await isThere(join(dir, 'podman_compose.py'))) return dir
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--target', dir]
  const { code } = await execute('python3', ['-m', 'pip', '--version']).catch(() => ({ code: 1 }))
  if (code !== 0) await install(packages.pip, progress)
  progress('installing podman-compose …')
  await mustExecute('python3', [...pip, `podman-compose==${composeVersion}`], {
    timeoutMs: installMs,
    env: { HOME: homedir() },
  })
  return dir
}

async function install(names: string[], progress: Progress): Promise<void> {
  progress(`installing ${names.join(', ')} …`)
  const options = { timeoutMs: installMs, env: { DEBIAN_FRONTEND: 'noninteractive' } }
  await mustExecute('apt-get', ['update'], options)
  // Debian's runc and Docker's containerd.io exclude each other: rather fail than take Docker away.
  const args = ['install', '-y', '--no-remove', '--no-install-recommends', ...names]
  await mustExecute('apt-get', args, options)
}

/** Containers find each other by name only where netavark makes their networks. */
async function hasPodman(): Promise<boolean> {
  const found = await Promise.all(netavark.map(isThere))
  return found.includes(true) && isProgram('podman')
}

async function isProgram(name: string): Promise<boolean> {
  return execute(name, ['--version']).then(
    ({ code }) => code === 0,
    () => false,
  )
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
