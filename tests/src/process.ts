import { spawn } from 'node:child_process'
import { join } from 'node:path'

import { eventually } from '@agent/testing'

const root = join(import.meta.dirname, '../..')

/** One process of the product, run by itself. */
export type App = AsyncDisposable & {
  readonly output: string
  exited: Promise<number | null>
  kill(signal: NodeJS.Signals): void
  /** The state it reports, once it answers. */
  readyz(): Promise<{ status: number; state: string; reason: string }>
}

/** Runs an app with exactly this environment; its health port is read from its log. */
export function runApp(app: string, env: Record<string, string>): App {
  const child = spawn(process.execPath, [join(root, 'apps', app, 'src/main.ts')], {
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: '/nonexistent',
      HEALTH_HOST: '127.0.0.1',
      HEALTH_PORT: '0',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const take = (chunk: Buffer): void => void (output += chunk.toString('utf8'))
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve))
  return {
    get output() {
      return output
    },
    exited,
    kill: (signal) => void child.kill(signal),
    async readyz() {
      const port = await eventually(() => /"healthPort":(\d+)/.exec(output)?.[1], {
        deadlineMs: 10_000,
        what: 'a health port',
      })
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`)
      return {
        status: answer.status,
        ...((await answer.json()) as { state: string; reason: string }),
      }
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
