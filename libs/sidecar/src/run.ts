import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'

import { type Bus, connectNatsBus, createMemoryBus, type NatsBusOptions } from '@agent/bus'
import { AgentError, type AgentEvent, eventHappened } from '@agent/contracts'
import { type Logger, pino } from 'pino'
import { collectDefaultMetrics, Registry } from 'prom-client'
import type * as z from 'zod'

import { registerBusMetrics } from './bus-metrics.ts'
import { type CommonConfig, readSidecarConfig } from './config.ts'
import { createHealthApp, serveHealth } from './health.ts'
import { createLogOutput } from './log-output.ts'
import { createLogTap } from './log-tap.ts'
import { createStatus, type StatusReporter } from './status.ts'
import { serveMetrics } from './telemetry.ts'
import { version } from './version.ts'

/** What a sidecar works with. */
export type Sidecar<C> = {
  name: string
  instance: string
  version: string
  config: C & CommonConfig
  log: Logger
  metrics: Registry
  bus: Bus
  /** Closed backwards at the end. */
  scope: AsyncDisposableStack
  /** Ends when the process is to stop. */
  signal: AbortSignal
  status: StatusReporter
  /** Puts a line on the console's timeline. */
  tell(level: AgentEvent['level'], type: AgentEvent['type'], text: string): void
}

export type SidecarOptions<S extends z.ZodType> = {
  name: string
  config: S
  /** `none` for a service that has no sidecars beside it. */
  bus?: 'nats' | 'none'
  defaultHealthPort: number
  /** Wires handlers and returns; the scope and the signal end what it began. */
  start(sidecar: Sidecar<z.output<S>>): Promise<void> | void
}

/** Runs a process from configuration to exit code: the only code that touches `process`. */
export async function runSidecar<S extends z.ZodType>(options: SidecarOptions<S>): Promise<void> {
  const stopping = new AbortController()
  let graceMs = 25_000
  const stop = (signalName: string): void => {
    if (stopping.signal.aborted) process.exit(1)
    stopping.abort(signalName)
  }
  // The last resort, should a resource not end, whether a signal or a fatal error stops us.
  const onStopping = (): void => void setTimeout(() => process.exit(1), graceMs + 5_000).unref()
  stopping.signal.addEventListener('abort', onStopping, { once: true })
  process.on('SIGTERM', () => stop('SIGTERM'))
  process.on('SIGINT', () => stop('SIGINT'))
  try {
    const config = readSidecarConfig(options.config, process.env)
    graceMs = config.SHUTDOWN_GRACE_SECONDS * 1_000
    process.exitCode = await live(options, config as never, stopping)
  } catch (error) {
    // Before there is a logger, and when there is none to trust any more.
    const { message, advice, code } = AgentError.from(error, 'client')
    process.stderr.write(`${options.name}: ${message}\n${advice}\n`)
    if (code === 'internal') process.stderr.write(`${(error as Error).stack}\n`)
    process.exitCode = code === 'config-invalid' ? 2 : 1
  }
  // Nothing may keep a stopped process: what still would is a leak, and shows in the tests of the parts.
  process.exit()
}

async function live<C>(
  { name, bus: busKind = 'nats', defaultHealthPort, start }: SidecarOptions<z.ZodType>,
  config: C & CommonConfig,
  stopping: AbortController,
): Promise<number> {
  const instance = config.PIPEOPS_INSTANCE ?? `${hostname()}-${process.pid}`
  const metrics = new Registry()
  const output = createLogOutput(metrics)
  const tap = createLogTap()
  const log = pino(
    {
      level: config.PIPEOPS_LOG_LEVEL,
      base: { sidecar: name, instance },
      redact: {
        paths: ['token', 'authorization', 'ticket', '*.token', '*.authorization', '*.ticket'],
      },
    },
    {
      write(line: string) {
        output.write(line)
        tap.write(line)
      },
    },
  )
  collectDefaultMetrics({ register: metrics })
  let failure: AgentError | undefined
  const status = createStatus({ name, instance, version }, (error) => {
    failure ??= error
    stopping.abort('fatal')
  })

  const scope = new AsyncDisposableStack()
  try {
    // Health first: whoever looks while we wait for the bus must learn that we start.
    const health = await serveHealth(createHealthApp(status, metrics), {
      host: config.HEALTH_HOST,
      port: config.HEALTH_PORT ?? defaultHealthPort,
    })
    scope.use(health)
    log.info({ version, healthPort: health.port }, 'starting')
    status.report('starting', 'waiting for the bus')
    const bus = await openBus(busKind, {
      name: `${name}/${instance}`,
      config,
      log,
      onClosed: status.fatal,
      signal: stopping.signal,
    })
    scope.use(bus)
    status.report('starting', 'starting')
    scope.use(status.attach(bus))
    registerBusMetrics(metrics, bus)
    scope.use(tap.attach(bus, { sidecar: name, instance }))
    scope.use(serveMetrics(bus, metrics, { sidecar: name, instance }))
    await start({
      name,
      instance,
      version,
      config: config,
      log,
      metrics,
      bus,
      scope,
      signal: stopping.signal,
      status,
      tell(level, type, text) {
        const time = new Date().toISOString()
        bus.publish(eventHappened, {
          sidecar: name,
          instance,
          time,
          level,
          type,
          text: text.slice(0, 1_000),
        })
      },
    })
    await aborted(stopping.signal)
  } catch (error) {
    // Told to stop while it still waited for something: that is no failure.
    const isCancelled = error instanceof AgentError && error.code === 'cancelled'
    if (!(isCancelled && stopping.signal.aborted)) failure ??= AgentError.from(error, 'client')
  }
  status.report('stopping', 'stopping')
  await scope.disposeAsync().catch((error: unknown) => log.error({ err: error }, 'stop failed'))
  if (failure === undefined) log.info('stopped')
  else {
    const { code, hop, message, advice } = failure
    log.fatal(
      { code, hop, reason: message, advice, err: code === 'internal' ? failure : undefined },
      'gave up',
    )
  }
  await output.close()
  return failure === undefined ? 0 : failure.code === 'config-invalid' ? 2 : 1
}

async function openBus(
  kind: 'nats' | 'none',
  { config, ...options }: Omit<NatsBusOptions, 'url' | 'token'> & { config: CommonConfig },
): Promise<Bus> {
  if (kind === 'none') return createMemoryBus()
  const file = config.BUS_TOKEN_FILE
  // Read now so that a wrong path is told at the start, and again for each login because tokens rotate.
  if (file !== undefined) await readSecret('BUS_TOKEN_FILE', file)
  const token = file === undefined ? undefined : () => readFileSync(file, 'utf8').trim()
  return connectNatsBus({ ...options, url: config.BUS_URL, token })
}

/** Reads a secret from the file that a setting names; throws `config-invalid` naming the setting. */
export async function readSecret(setting: string, file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unreadable'
    throw new AgentError('config-invalid', `${setting}: cannot read ${file} (${reason})`, { cause })
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
