import { AgentError, type AuditRecord, issueTicket } from '@agent/contracts'
import { openApiServer } from '@agent/kube'
import { readSecret, type Sidecar } from '@agent/sidecar'
import { connections, createBackoff, dialWebSocket } from '@agent/uplink'
import { Agent } from 'undici'

import { createAuditTrail } from './audit.ts'
import type { Config } from './config.ts'
import { type Connection, runConnection } from './connection.ts'
import { askConsoleAddress } from './console-address.ts'
import { createProxyMetrics } from './metrics.ts'
import { serveStream } from './open.ts'
import { readiness } from './readiness.ts'
import { serveConsoleRequests } from './serve-console.ts'

const ticketTimeoutMs = 12_000
/** Larger than any batch a session sends. */
const maxMessageBytes = 2_097_152
const statusMs = 500
/** How long a Service's connection may be kept for the next request, whatever the Service allows. */
const serviceIdleMs = 8_000

/** Keeps stream connections to the control plane open and serves what comes through them. */
export async function startProxy(sidecar: Sidecar<Config>): Promise<void> {
  const { config, bus, log, metrics, scope, signal, status } = sidecar
  const api = scope.use(await openApiServer(config))
  const services = new Agent({
    pipelining: 1,
    keepAliveMaxTimeout: serviceIdleMs,
    connect: { timeout: 10_000 },
  })
  scope.defer(() => services.destroy())
  const ca =
    config.PIPEOPS_CA_FILE === undefined
      ? undefined
      : await readSecret('PIPEOPS_CA_FILE', config.PIPEOPS_CA_FILE)

  const live = new Set<Connection>()
  const counters = createProxyMetrics(metrics, () => ({
    ...totals(live),
    forwards: audit.forwards,
    rttMs: rttOf(live),
  }))
  let apiServerMs: number | null = null
  // A record has no field for a secret, and looking for one in each was a third of all that the proxy allocates.
  const auditLog = log.child({}, { redact: [] })
  const audit = createAuditTrail(bus, (record: AuditRecord) => {
    auditLog.info({ audit: record }, 'request')
    counters.request(record)
  })
  scope.defer(() => audit.flush())
  const context = {
    api,
    services,
    allowedServices: config.PROXY_ALLOWED_SERVICES,
    impersonate: config.PROXY_IMPERSONATE,
    audit,
    console: () => askConsoleAddress(bus),
    onProbe(durationMs: number) {
      apiServerMs = tenths(durationMs)
      counters.probe(durationMs)
    },
  }
  await serveConsoleRequests(sidecar, context)
  /** Why there is no connection, while there is none. */
  let outage: AgentError | undefined

  async function dial(dialSignal: AbortSignal) {
    const ticket = await bus.request(
      issueTicket,
      { kind: 'proxy' },
      { timeoutMs: ticketTimeoutMs, signal: dialSignal },
    )
    const socket = await dialWebSocket({
      url: ticket.url,
      token: ticket.ticket,
      ca,
      maxPayloadBytes: maxMessageBytes,
      headers: { 'x-agent-instance': sidecar.instance },
      signal: dialSignal,
    }).catch((error: unknown) => {
      throw ticketRefused(error)
    })
    return runConnection(socket, {
      windows: ticket.windows,
      canaryIntervalMs: config.PROXY_CANARY_INTERVAL_SECONDS * 1_000,
      onStream: (stream, head) => serveStream(context, stream, head),
      onCanary: counters.canary,
    })
  }

  /** One place among the connections: whenever the one in it retires, another takes over. */
  async function keepConnected(slot: number): Promise<void> {
    const series = connections({
      dial,
      backoff: createBackoff(),
      signal,
      onOutage(error, waitMs, isNews) {
        outage = error
        const { code, hop, message, advice } = error
        if (!isNews) return
        log.warn({ slot, code, hop, reason: message, advice, waitMs }, 'not connected')
        sidecar.tell('warn', 'connection', `stream connection ${slot + 1} is not up: ${message}`)
      },
    })
    for await (const { connection, retryAfter } of series) {
      outage = undefined
      live.add(connection)
      log.info({ slot }, 'connected')
      sidecar.tell('info', 'connection', `stream connection ${slot + 1} is up`)
      void connection.closed.then((reason) => {
        live.delete(connection)
        log.info({ slot, code: reason.code, reason: reason.message }, 'disconnected')
        sidecar.tell('warn', 'connection', `stream connection ${slot + 1} ended: ${reason.message}`)
      })
      const reason = await Promise.race([connection.retired, stopped])
      if (reason !== undefined) retryAfter(reason.retryAfterMs ?? 0)
    }
  }

  const stopped = new Promise<undefined>((resolve) => {
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
  const slots = Array.from({ length: config.PROXY_CONNECTIONS }, (_, slot) => keepConnected(slot))
  void Promise.all(slots).catch((error: unknown) =>
    status.fatal(AgentError.from(error, 'connection')),
  )

  const reporter = setInterval(() => {
    const { state, reason } = readiness(
      [...live].filter(({ acceptsStreams }) => acceptsStreams).map(({ canary }) => canary),
      outage,
    )
    status.report(state, reason, {
      ...totals(live),
      rttMs: rttOf(live),
      canaryMs: canaryOf(live),
      apiServerMs,
      wanted: config.PROXY_CONNECTIONS,
      requests: counters.requests(),
      forwards: audit.forwards,
      canaryIntervalMs: config.PROXY_CANARY_INTERVAL_SECONDS * 1_000,
    })
  }, statusMs)
  scope.defer(() => clearInterval(reporter))
  scope.defer(async () => {
    const graceMs = config.SHUTDOWN_GRACE_SECONDS * 1_000
    await Promise.all([...live].map((connection) => connection.drain(graceMs)))
  })
}

/** A refused ticket is old or revoked: a new one may help, so it is no reason to give up. */
function ticketRefused(error: unknown): AgentError {
  const refused = AgentError.from(error, 'connection')
  if (refused.code !== 'credentials-refused') return refused
  return new AgentError('unavailable', 'the control plane refused the ticket', { cause: refused })
}

function totals(live: Set<Connection>) {
  const sum = { connections: 0, streams: 0, bytesIn: 0, bytesOut: 0 }
  for (const { stats } of live) {
    sum.connections++
    sum.streams += stats.streams
    sum.bytesIn += stats.bytesReceived
    sum.bytesOut += stats.bytesSent
  }
  return sum
}

/** The round trip to the control plane in milliseconds, as PING measures it. */
function rttOf([connection]: Iterable<Connection>): number | null {
  const rttMs = connection?.stats.rttMs
  return rttMs === undefined ? null : tenths(rttMs)
}

/** How long the latest canary took for the whole path, in milliseconds. */
function canaryOf([connection]: Iterable<Connection>): number | null {
  const canary = connection?.canary
  return canary?.ok === true ? tenths(canary.durationMs) : null
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10
}
