import type { AuditRecord } from '@agent/contracts'
import { addGauge } from '@agent/sidecar'
import { Counter, Histogram, type Registry } from 'prom-client'

import type { CanaryResult } from './canary.ts'

/** What the proxy counts. */
export type ProxyMetrics = {
  /** Counts a request when it is over. */
  request(record: AuditRecord): void
  canary(result: CanaryResult): void
  /** The API server answered a canary's probe. */
  probe(durationMs: number): void
  /** Requests so far. */
  requests(): number
}

/** Registers the proxy's metrics; `sessions` is read at each scrape. */
export function createProxyMetrics(
  registry: Registry,
  read: () => {
    connections: number
    streams: number
    bytesIn: number
    bytesOut: number
    forwards: number
    rttMs: number | null
  },
): ProxyMetrics {
  const registers = [registry]
  const requests = new Counter({
    name: 'pipeops_http_requests_total',
    help: 'Requests that reached the proxy, by kind, decision and status class.',
    labelNames: ['kind', 'decision', 'status'],
    registers,
  })
  const apiCalls = new Counter({
    name: 'pipeops_kubernetes_api_calls_total',
    help: 'Requests that were sent to the API server.',
    registers,
  })
  const duration = new Histogram({
    name: 'pipeops_proxy_request_duration_seconds',
    help: 'Time from a request’s arrival at the proxy to its end; streams count when they end.',
    labelNames: ['kind'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600],
    registers,
  })
  const hop = new Histogram({
    name: 'pipeops_hop_duration_seconds',
    help: 'Time one hop takes, by kind of stream: api-server until its answer’s head, connection for a round trip to the control plane.',
    labelNames: ['hop', 'kind'],
    buckets: [0.0005, 0.002, 0.005, 0.02, 0.05, 0.2, 1, 5],
    registers,
  })
  const canary = new Histogram({
    name: 'pipeops_proxy_canary_duration_seconds',
    help: 'Round trip of the canary: proxy, control plane, proxy, API server and back.',
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 8],
    registers,
  })
  const canaryFailures = new Counter({
    name: 'pipeops_proxy_canary_failures_total',
    help: 'Canaries that failed, by the hop that failed.',
    labelNames: ['hop'],
    registers,
  })
  const gauge = (name: string, help: string, value: () => number): void =>
    addGauge(registry, name, help, value)
  gauge('pipeops_proxy_connections', 'Stream connections that are up.', () => read().connections)
  gauge('pipeops_tunnel_forwards_active', 'Port-forwards open now.', () => read().forwards)
  gauge('pipeops_proxy_streams', 'Streams open now.', () => read().streams)
  gauge(
    'pipeops_proxy_received_bytes',
    'Bytes received on the live connections.',
    () => read().bytesIn,
  )
  gauge('pipeops_proxy_sent_bytes', 'Bytes sent on the live connections.', () => read().bytesOut)

  // Known from the start, so that a rate over it begins with the first request.
  requests.inc({ kind: 'kube', decision: 'allow', status: '2xx' }, 0)
  let total = 0
  return {
    requests: () => total,
    probe: (durationMs) => hop.observe({ hop: 'api-server', kind: 'canary' }, durationMs / 1_000),
    request(record) {
      total++
      const { kind, decision, status } = record
      const statusClass = status === null ? 'none' : `${Math.floor(status / 100)}xx`
      requests.inc({ kind, decision, status: statusClass })
      if (kind === 'kube' && decision === 'allow') apiCalls.inc()
      duration.observe({ kind }, record.durationMs / 1_000)
      if (record.answerMs !== null) {
        const answering = kind === 'kube' ? 'api-server' : 'service'
        hop.observe({ hop: answering, kind }, record.answerMs / 1_000)
      }
    },
    canary(result) {
      const { rttMs } = read()
      if (rttMs !== null) hop.observe({ hop: 'connection', kind: 'canary' }, rttMs / 1_000)
      if (result.ok) canary.observe(result.durationMs / 1_000)
      else canaryFailures.inc({ hop: result.error.hop })
    },
  }
}
