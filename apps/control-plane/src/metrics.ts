import type { AgentError } from '@agent/contracts'
import { addGauge } from '@agent/sidecar'
import { Counter, type Registry } from 'prom-client'

/** What the control plane counts. */
export type ControlPlaneMetrics = {
  /** A user's request is over. */
  request(error: AgentError | undefined): void
}

/** Registers the control plane's metrics; `read` is asked at each scrape. */
export function createControlPlaneMetrics(
  registry: Registry,
  read: { agents(): number; streamConnections(): number; activeRequests(): number },
): ControlPlaneMetrics {
  const registers = [registry]
  const requests = new Counter({
    name: 'pipeops_control_plane_requests_total',
    help: 'Users’ requests by how they ended: ok, or the code and hop of the failure.',
    labelNames: ['code', 'hop'],
    registers,
  })
  const gauges = [
    ['pipeops_control_plane_agents', 'Control connections of agents.', read.agents],
    [
      'pipeops_control_plane_stream_connections',
      'Stream connections of agents.',
      read.streamConnections,
    ],
    ['pipeops_control_plane_active_requests', 'Users’ requests under way.', read.activeRequests],
  ] as const
  for (const [name, help, value] of gauges) {
    addGauge(registry, name, help, value)
  }
  return {
    request(error) {
      requests.inc({ code: error?.code ?? 'ok', hop: error?.hop ?? 'none' })
    },
  }
}
