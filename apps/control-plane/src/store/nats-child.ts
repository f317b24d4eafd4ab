import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'

import { AgentError } from '@agent/contracts'
import type { Logger } from 'pino'

import { replaceFile } from '../replace-file.ts'

const restart = { firstMs: 200, mostMs: 5_000 }
const stopGraceMs = 5_000

/** The embedded nats-server: where it listens, and its end. */
export type NatsChild = AsyncDisposable & { url: string; token: string }

/** Runs nats-server with JetStream under the data directory, on loopback; a dead one is started again. */
export async function startNatsChild(options: {
  program: string
  dir: string
  log: Logger
}): Promise<NatsChild> {
  const { program, dir, log } = options
  await mkdir(join(dir, 'nats'), { recursive: true, mode: 0o700 })
  const token = await keepToken(join(dir, 'nats', 'token'))
  const port = await freePort()
  const config = join(dir, 'nats', 'nats.conf')
  const pidFile = join(dir, 'nats', 'pid')
  await endForgotten(pidFile, config)
  const lines = [
    `listen: "127.0.0.1:${port}"`,
    `authorization { token: "${token}" }`,
    `jetstream { store_dir: ${JSON.stringify(join(dir, 'nats', 'jetstream'))} }`,
    'max_payload: 1MB',
    `pid_file: ${JSON.stringify(pidFile)}`,
  ]
  await replaceFile(config, `${lines.join('\n')}\n`)

  let child: ChildProcess | undefined
  let isStopping = false
  let waitMs = restart.firstMs
  let timer: NodeJS.Timeout | undefined
  const failedFirst = Promise.withResolvers<never>()
  failedFirst.promise.catch(() => {})

  function run(): void {
    const since = performance.now()
    const over = (facts: object): void => {
      child = undefined
      if (isStopping) return
      if (performance.now() - since > 10_000) waitMs = restart.firstMs
      log.warn({ ...facts, waitMs }, 'nats-server is gone, starting it again')
      timer = setTimeout(run, waitMs * (0.75 + Math.random() * 0.5))
      waitMs = Math.min(waitMs * 2, restart.mostMs)
    }
    const notStarted = (cause: NodeJS.ErrnoException): void => {
      const message = `CONTROL_PLANE_NATS_BIN: cannot run ${program} (${cause.code})`
      failedFirst.reject(new AgentError('config-invalid', message, { cause }))
      over({ reason: message })
    }
    try {
      const started = spawn(program, ['-c', config], { stdio: 'ignore' })
      child = started
      // A program that is not there, say in the middle of an upgrade, has no 'exit'.
      started.on('error', (cause) => {
        if (started.pid === undefined) notStarted(cause)
      })
      started.once('exit', (code, killedBy) => over({ code, killedBy }))
    } catch (cause) {
      notStarted(cause as NodeJS.ErrnoException)
    }
  }

  run()
  try {
    await Promise.race([failedFirst.promise, new Promise((resolve) => setImmediate(resolve))])
  } catch (error) {
    isStopping = true
    clearTimeout(timer)
    throw error
  }
  return {
    url: `nats://127.0.0.1:${port}`,
    token,
    async [Symbol.asyncDispose]() {
      isStopping = true
      clearTimeout(timer)
      const running = child
      if (running === undefined) return
      const exited = new Promise((resolve) => running.once('exit', resolve))
      running.kill('SIGTERM')
      const last = setTimeout(() => running.kill('SIGKILL'), stopGraceMs)
      await exited
      clearTimeout(last)
    },
  }
}

/** A control plane that was killed leaves its child behind; two servers on one store would ruin it. */
async function endForgotten(pidFile: string, config: string): Promise<void> {
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => ''))
  if (!(pid > 0)) return
  // The number may be another process's by now: only one that was started with our file is ours.
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  if (!commandLine.split('\0').includes(config)) return
  process.kill(pid, 'SIGKILL')
  const deadline = performance.now() + stopGraceMs
  while (
    performance.now() < deadline &&
    (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) !== ''
  ) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** The same token over restarts. */
async function keepToken(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch {
    const token = randomBytes(32).toString('base64url')
    await replaceFile(file, token)
    return token
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
