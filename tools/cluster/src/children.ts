import { type ChildProcess, spawn } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { createPidFile } from './pid-file.ts'

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

/**
 * Owns processes below `dir`; those that a killed owner left there are ended first. `prefix` goes before every
 * command; after the signal none is started.
 */
export async function createChildren(
  dir: string,
  { prefix = [], signal }: { prefix?: string[]; signal?: AbortSignal | undefined } = {},
): Promise<Children> {
  const pidFile = createPidFile(join(dir, 'pids'))
  await pidFile.endForgotten()
  const running: { name: string; child: ChildProcess }[] = []

  const self: Children = {
    get pids() {
      return running.flatMap(({ child }) => (child.pid === undefined ? [] : [child.pid]))
    },
    async start(name, program, args, env = {}) {
      signal?.throwIfAborted()
      const log = await open(join(dir, `${name}.log`), 'w')
      const [command = program, ...words] = [...prefix, program, ...args]
      const child = spawn(command, words, {
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
      await pidFile.write(self.pids)
      return child
    },
    async tail(name) {
      const text = await readFile(join(dir, `${name}.log`), 'utf8').catch(() => '')
      return text.split('\n').slice(-8).join('\n')
    },
    async [Symbol.asyncDispose]() {
      for (const { child } of running.toReversed()) await stop(child)
      await pidFile.remove()
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
