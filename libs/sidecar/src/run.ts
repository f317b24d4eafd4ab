import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'

import { type Bus, connectNatsBus, createMemoryBus, type NatsBusOptions } from '@agent/bus'
import { AgentError } from '@agent/contracts'
import { collectDefaultMetrics, Registry } from 'prom-client'
import type * as z from 'zod'

import { registerBusMetrics } from './bus-metrics.ts'
import { type CommonConfig, readSidecarConfigs } from './config.ts'
import { createSidecar } from './create-sidecar.ts'
import { createHealthApp, serveHealth } from './health.ts'
import { createLogOutput } from './log-output.ts'
import { readSecret } from './secret.ts'
import type { SidecarOptions } from './sidecar.ts'
import { version } from './version.ts'

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
    const [config] = readSidecarConfigs([options.config], process.env)
    graceMs = config!.SHUTDOWN_GRACE_SECONDS * 1_000
    process.exitCode = await live(options, config!, stopping)
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

async function live(
  options: SidecarOptions,
  config: CommonConfig,
  stopping: AbortController,
): Promise<number> {
  const { signal } = stopping
  const instance = config.PIPEOPS_INSTANCE ?? `${hostname()}-${process.pid}`
  const metrics = new Registry()
  collectDefaultMetrics({ register: metrics })
  const output = createLogOutput(metrics)
  let failure: AgentError | undefined
  const onFatal = (error: AgentError): void => {
    failure ??= error
    stopping.abort('fatal')
  }
  const around = { instance, environment: process.env, output, signal, onFatal }
  const sidecar = createSidecar(options, config, around, { metrics })
  const { log, status, page } = sidecar

  const scope = new AsyncDisposableStack()
  try {
    // Health first: whoever looks while we wait for the bus must learn that we start.
    const health = await serveHealth(createHealthApp(status, page), {
      host: config.HEALTH_HOST,
      port: config.HEALTH_PORT ?? options.defaultHealthPort,
    })
    scope.use(health)
    log.info({ version, healthPort: health.port }, 'starting')
    status.report('starting', 'waiting for the bus')
    const bus = await openBus(options.bus ?? 'nats', {
      name: `${options.name}/${instance}`,
      config,
      log,
      onClosed: onFatal,
      signal,
    })
    scope.use(bus)
    registerBusMetrics(metrics, bus)
    await sidecar.start(bus, scope)
    await aborted(signal)
  } catch (error) {
    // Told to stop while it still waited for something: that is no failure.
    const isCancelled = error instanceof AgentError && error.code === 'cancelled'
    if (!(isCancelled && signal.aborted)) failure ??= AgentError.from(error, 'client')
    // Whatever had started by then learns it too, and the last resort is armed.
    stopping.abort('failed')
  }
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

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
