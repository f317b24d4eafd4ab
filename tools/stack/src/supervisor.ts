import { type ChildProcess, spawn } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { killGroup } from '@agent/cluster'

const restart = { firstMs: 200, mostMs: 5_000, goodAfterMs: 10_000 }
const stopGraceMs = 12_000

/** One supervised process: started again whenever it dies, as kubelet would, until it is stopped. */
export type Supervised = AsyncDisposable & {
  readonly name: string
  readonly pid: number | undefined
  readonly restarts: number
  /** Lives in a row that were short: it dies at once, again and again. */
  readonly crashes: number
  /** The last exit, for messages; undefined while it never died. */
  readonly lastExit: string | undefined
  kill(signal: NodeJS.Signals): void
  /** The end of its log. */
  tail(): Promise<string>
}

export type ProcessSpec = {
  name: string
  program: string
  args: string[]
  env: Record<string, string>
}

/** Starts a process under supervision; its output goes to `<logs>/<name>.log`. */
export function supervise(
  spec: ProcessSpec,
  logsDir: string,
  onSpawn: () => void = () => {},
): Supervised {
  const file = join(logsDir, `${spec.name}.log`)
  const stopping = new AbortController()
  let child: ChildProcess | undefined
  let restarts = -1
  let crashes = 0
  let lastExit: string | undefined

  async function runOnce(): Promise<void> {
    const log = await open(file, 'a')
    try {
      if (stopping.signal.aborted) return
      restarts++
      const { promise, resolve } = Promise.withResolvers<string>()
      child = spawn(spec.program, spec.args, {
        // A group of its own: Ctrl-C in a terminal is for us, and we end the processes in order.
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...spec.env },
      })
      child.once('spawn', onSpawn)
      child.once('error', (error) => resolve(error.message))
      child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
      lastExit = await promise
      child = undefined
    } finally {
      await log.close()
    }
  }

  async function keepRunning(): Promise<void> {
    let waitMs = restart.firstMs
    while (!stopping.signal.aborted) {
      const since = performance.now()
      await runOnce()
      const wasGood = performance.now() - since > restart.goodAfterMs
      crashes = wasGood ? 0 : crashes + 1
      if (wasGood) waitMs = restart.firstMs
      await delay(waitMs * (0.75 + Math.random() * 0.5), undefined, {
        signal: stopping.signal,
      }).catch(() => {})
      waitMs = Math.min(waitMs * 2, restart.mostMs)
    }
  }

  const done = keepRunning()
  return {
    name: spec.name,
    get pid() {
      return child?.pid
    },
    get restarts() {
      return restarts
    },
    get crashes() {
      return crashes
    },
    get lastExit() {
      return lastExit
    },
    kill: (signal) => void child?.kill(signal),
    async tail() {
      const text = await readFile(file, 'utf8').catch(() => '')
      return text.trimEnd().split('\n').slice(-6).join('\n')
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      child?.kill('SIGTERM')
      // A stopped process cannot hear SIGTERM.
      child?.kill('SIGCONT')
      const timer = setTimeout(() => {
        if (child?.pid !== undefined) killGroup(child.pid)
      }, stopGraceMs)
      await done
      clearTimeout(timer)
    },
  }
}
