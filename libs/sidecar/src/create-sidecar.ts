import type { Bus } from '@agent/bus'
import {
  type AgentError,
  eventHappened,
  type SidecarState,
  type StatusReport,
} from '@agent/contracts'
import { type Logger, pino } from 'pino'
import { Registry } from 'prom-client'

import { type CommonConfig, type Environment, readSidecarConfigs } from './config.ts'
import type { LogOutput } from './log-output.ts'
import { createLogTap } from './log-tap.ts'
import { createMetricsPage, type MetricsPage } from './metrics-page.ts'
import type { SidecarOptions } from './sidecar.ts'
import { createStatus, type StatusReporter } from './status.ts'
import { serveMetrics } from './telemetry.ts'
import { version } from './version.ts'

/** From what needs most attention to what needs none. */
const states: SidecarState[] = ['failed', 'stopping', 'starting', 'degraded', 'ok']

/** What all sidecars of a process have in common. */
export type Surroundings = {
  instance: string
  environment: Environment
  output: LogOutput
  signal: AbortSignal
  onFatal(error: AgentError): void
}

/** A sidecar before it is started: it can already log and say how it is. */
export type Created = {
  name: string
  log: Logger
  metrics: Registry
  status: StatusReporter
  /** Its metrics, and those of the ones it hosts. */
  page: MetricsPage
  start(bus: Bus, scope: AsyncDisposableStack): Promise<void>
}

/** Makes a sidecar of its options and settings. */
export function createSidecar(
  { name, start }: SidecarOptions,
  config: CommonConfig,
  around: Surroundings,
  { metrics = new Registry(), onReport }: { metrics?: Registry; onReport?(): void } = {},
): Created {
  const { instance, output, signal, onFatal } = around
  const page = createMetricsPage(name, metrics)
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
  const status = createStatus({ name, instance, version }, onFatal, onReport)
  signal.addEventListener('abort', () => status.report('stopping', 'stopping'), { once: true })
  return {
    name,
    log,
    metrics,
    status,
    page,
    async start(bus, scope) {
      status.report('starting', 'starting')
      scope.use(status.attach(bus))
      scope.use(tap.attach(bus, { sidecar: name, instance }))
      scope.use(serveMetrics(bus, metrics, { sidecar: name, instance }))
      await start({
        name,
        instance,
        version,
        config,
        log,
        metrics,
        bus,
        scope,
        signal,
        status,
        tell(level, type, words) {
          const time = new Date().toISOString()
          const text = words.slice(0, 1_000)
          bus.publish(eventHappened, { sidecar: name, instance, time, level, type, text })
        },
        host: (others) => hostSidecars(others, { around, bus, scope, status, page }),
      })
    },
  }
}

/** Starts sidecars inside a process: each with its own settings, log, metrics, status and scope. */
async function hostSidecars(
  others: readonly SidecarOptions[],
  host: {
    around: Surroundings
    bus: Bus
    scope: AsyncDisposableStack
    status: StatusReporter
    page: MetricsPage
  },
): Promise<void> {
  const { around, bus, scope, status, page } = host
  const configs = readSidecarConfigs(
    others.map(({ config }) => config),
    around.environment,
  )
  const hosts = others.map(({ name }) => name).join(', ')
  const onReport = (): void => {
    const { state, reason } = worstOf(hosted.map((each) => each.status.current))
    status.report(state, reason, { hosts })
  }
  const hosted = others.map((options, index) =>
    createSidecar(options, configs[index]!, around, { onReport }),
  )
  page.add(...hosted)
  onReport()
  // Side by side: one that waits for the API server must not keep the console from saying so.
  await Promise.all(hosted.map((each) => each.start(bus, scope.use(new AsyncDisposableStack()))))
}

function worstOf(reports: readonly StatusReport[]): { state: SidecarState; reason: string } {
  for (const state of states) {
    const report = reports.find((each) => each.state === state)
    if (report === undefined) continue
    const { sidecar, reason } = report
    return { state, reason: reason === '' ? '' : `${sidecar}: ${reason}` }
  }
  return { state: 'ok', reason: '' }
}
