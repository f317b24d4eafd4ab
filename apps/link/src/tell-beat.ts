import type { Bus } from '@agent/bus'
import { type AgentError, heartbeatDone } from '@agent/contracts'

import { type ClusterFacts, usageText } from './heartbeat.ts'

/** Tells the pod how a heartbeat went, and what it said of the cluster. */
export function tellBeat(
  bus: Pick<Bus, 'publish'>,
  facts: ClusterFacts,
  error: AgentError | undefined,
  durationMs: number,
): void {
  const { kubernetesVersion, nodes, pods, usage } = facts
  bus.publish(heartbeatDone, {
    time: new Date().toISOString(),
    ok: error === undefined,
    durationMs: Math.round(durationMs * 10) / 10,
    reason: error?.message ?? '',
    cluster: {
      kubernetesVersion: kubernetesVersion ?? null,
      nodes: nodes.count,
      pods: pods.count,
      cpuUsage: usageText(usage?.cpu),
      memoryUsage: usageText(usage?.memory),
    },
  })
}
