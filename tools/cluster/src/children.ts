import { type ChildProcess, spawn } from 'node:child_process'
import { open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const stopGraceMs = 3_000

/** The processes of one cluster: logs to files, stopped in reverse order, and none outlives us for long. */
export type Children = AsyncDisposable & {
  start(
    name: string,
    program: string,
    args: string[],
    env?: Record<string, string>,
  ): Promise<ChildProcess>
  /** The end of a child's log, for errors. */
  tail(name: string): Promise<string>
  readonly pids: number[]
}

/** Owns processes below `dir`; those that a killed owner left there are ended first. */
export async function createChildren(dir: string): Promise<Children> {
  const pidFile = join(dir, 'pids')
  await endForgotten(pidFile)
  const running: { name: string; child: ChildProcess }[] = []

  const self: Children = {
    get pids() {
      return running.flatMap(({ child }) => (child.pid === undefined ? [] : [child.pid]))
    },
    async start(name, program, args, env = {}) {
      const log = await open(join(dir, `${name}.log`), 'w')
      const child = spawn(program, args, {
        // A group of its own: Ctrl-C in a terminal is for us, and we end the children in order.
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        env: { PATH: process.env['PATH'] ?? '', HOME: dir, ...env },
      })
      const spawned = new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve)
        child.once('error', reject)
      })
      await log.close()
      await spawned
      running.push({ name, child })
      // A process and its start time, so that a later one with the same number is left alone.
      const lines = await Promise.all(
        self.pids.map(async (pid) => `${pid} ${await startTime(pid)}`),
      )
      await writeFile(pidFile, lines.join('\n'))
      return child
    },
    async tail(name) {
      const text = await readFile(join(dir, `${name}.log`), 'utf8').catch(() => '')
      return text.split('\n').slice(-8).join('\n')
    },
    async [Symbol.asyncDispose]() {
      for (const { child } of running.toReversed()) await stop(child)
      await rm(pidFile, { force: true })
    },
  }
  return self
}

/** Ends a child: politely, then for certain. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), stopGraceMs)
  await exited
  clearTimeout(timer)
}

async function endForgotten(pidFile: string): Promise<void> {
  const text = await readFile(pidFile, 'utf8').catch(() => '')
  for (const line of text.split('\n')) {
    const [pid, since] = line.split(' ')
    if (Number(pid) > 0 && since !== undefined && (await startTime(Number(pid))) === since) {
      process.kill(Number(pid), 'SIGKILL')
    }
  }
}

/** The kernel's start time of a process (Linux); empty where it is gone or unknown. */
async function startTime(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}
