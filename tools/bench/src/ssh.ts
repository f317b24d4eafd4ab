import { execFile } from 'node:child_process'
import { chmod, chown, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { createChildren, freePorts } from '@agent/cluster'

import { type ProcessRef, withChildren } from './processes.ts'
import type { Programs } from './programs.ts'
import { untilListening } from './ready.ts'

const run = promisify(execFile)
const cipher = 'aes128-gcm@openssh.com'
const nobody = { name: 'nobody', uid: 65_534, gid: 65_534 }

/** An OpenSSH reverse tunnel to the origin: what people use when they have nothing better. */
export type SshTunnel = AsyncDisposable & { port: number; processes: ProcessRef[] }

/**
 * Starts an SSH server and `ssh -R` with keys and settings of their own. As root, the server runs as `nobody`: then it
 * needs no account and no directory on the machine, and works the same.
 */
export async function startSshTunnel(options: {
  /** Logs and process ids go below it. */
  dir: string
  programs: Programs
  origin: { host: string; port: number }
  /** Where the server listens, and how the tunnel's client reaches it. */
  link: { host: string; peer: string }
}): Promise<SshTunnel> {
  const { programs, origin, link } = options
  await using scope = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'pipeops-bench-ssh-'))
  scope.defer(() => rm(dir, { recursive: true, force: true }))
  const isRoot = process.getuid?.() === 0
  const account = isRoot ? nobody : { ...userInfo(), name: userInfo().username }
  const [sshPort, port] = (await freePorts(2)) as [number, number]

  const file = (name: string): string => join(dir, name)
  for (const name of ['host', 'user']) {
    await run(programs['ssh-keygen'], ['-q', '-t', 'ed25519', '-N', '', '-f', file(name)], {
      env: { ...process.env, ...programs.env },
    })
  }
  await copyFile(file('user.pub'), file('authorized'))
  const hostKey = (await readFile(file('host.pub'), 'utf8')).trim()
  await writeFile(file('known'), `[${link.peer}]:${sshPort} ${hostKey}\n`)
  await writeFile(
    file('sshd.conf'),
    [
      `ListenAddress ${link.host}:${sshPort}`,
      `HostKey ${file('host')}`,
      `AuthorizedKeysFile ${file('authorized')}`,
      'StrictModes no',
      // The account need not be open for a password: without PAM the server refuses one that is not.
      'UsePAM yes',
      'PidFile none',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'AllowTcpForwarding yes',
      `Ciphers ${cipher}`,
      'ClientAliveInterval 5',
    ].join('\n'),
  )
  if (isRoot) {
    await chmod(dir, 0o755)
    for (const name of ['host', 'authorized', 'sshd.conf']) {
      await chown(file(name), account.uid, account.gid)
    }
  }

  const childrenDir = join(options.dir, 'ssh')
  await mkdir(childrenDir, { recursive: true })
  const children = scope.use(await createChildren(childrenDir))
  const asAccount = isRoot
    ? ['setpriv', `--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups']
    : []
  const serve = [...asAccount, programs.sshd, '-D', '-e', '-f', file('sshd.conf')]
  const server = await children.start('sshd', serve[0] as string, serve.slice(1), programs.env)
  await untilListening(sshPort, 'sshd', () => children.tail('sshd'))
  const client = await children.start(
    'ssh',
    programs.ssh,
    [
      ...['-N', '-F', 'none', '-p', String(sshPort), '-i', file('user'), '-c', cipher],
      ...['-o', `UserKnownHostsFile=${file('known')}`, '-o', 'ExitOnForwardFailure=yes'],
      ...['-o', 'BatchMode=yes', '-o', 'Compression=no', '-o', 'IdentitiesOnly=yes'],
      ...['-R', `127.0.0.1:${port}:${origin.host}:${origin.port}`],
      `${account.name}@${link.peer}`,
    ],
    programs.env,
  )
  await untilListening(
    port,
    'the SSH tunnel',
    async () => `${await children.tail('ssh')}\n${await children.tail('sshd')}`,
  )
  const processes: ProcessRef[] = [
    { name: 'sshd', pid: server.pid as number, side: 'path' },
    { name: 'ssh', pid: client.pid as number, side: 'path' },
  ]
  // The server's sessions outlive it, until they notice that their client is gone.
  scope.defer(async () => {
    for (const { pid } of await withChildren(processes)) kill(pid)
  })
  const owned = scope.move()
  return {
    port,
    processes,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid)
  } catch {
    // It ended meanwhile.
  }
}
