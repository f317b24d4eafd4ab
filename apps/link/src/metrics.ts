import { addGauge } from '@agent/sidecar'
import { Counter, type Registry } from 'prom-client'

import type { ClusterFacts } from './heartbeat.ts'

/** What the link counts, under the documented names. */
export function createLinkMetrics(
  registry: Registry,
  read: { registered(): boolean; streamConnections(): number; facts: ClusterFacts },
) {
  const registers = [registry]
  const counter = (name: string, help: string): Counter => new Counter({ name, help, registers })
  const gauge = (name: string, help: string, value: () => number): void =>
    addGauge(registry, name, help, value)
  const startedAt = performance.now()
  gauge('pipeops_agent_status', '1 while the agent is registered, else 0.', () =>
    Number(read.registered()),
  )
  gauge('pipeops_tunnel_status', '1 while a stream connection is up, else 0.', () =>
    Number(read.streamConnections() > 0),
  )
  gauge(
    'pipeops_cluster_nodes_total',
    'Nodes of the cluster; NaN while unknown.',
    () => read.facts.nodes.count ?? Number.NaN,
  )
  gauge(
    'pipeops_cluster_pods_total',
    'Pods of the cluster; NaN while unknown.',
    () => read.facts.pods.count ?? Number.NaN,
  )
  gauge(
    'pipeops_agent_uptime_seconds',
    'Time since the link started.',
    () => (performance.now() - startedAt) / 1_000,
  )
  return {
    beats: counter('pipeops_heartbeat_total', 'Heartbeats that were acknowledged.'),
    beatErrors: counter('pipeops_heartbeat_errors_total', 'Heartbeats that were not.'),
    registrations: counter('pipeops_registration_attempts_total', 'Registrations that were begun.'),
    unknownMessages: counter(
      'pipeops_link_unknown_messages_total',
      'Control messages of unknown type.',
    ),
  }
}

/** Calls of the link’s own to the API server, counted before the other metrics can be built. */
export function createApiCallCounter(registry: Registry): Counter {
  return new Counter({
    name: 'pipeops_kubernetes_api_calls_total',
    help: 'Calls the link itself made to the API server.',
    registers: [registry],
  })
}
