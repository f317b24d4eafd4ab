import type { Bus } from '@agent/bus'
import { type AgentError, type Heartbeat, heartbeatDone, type StatusReport } from '@agent/contracts'

import { type ClusterFacts, usageText } from './heartbeat.ts'

/** Tells the pod how a heartbeat went, and what it said of the cluster; returns what it told. */
export function tellBeat(
  bus: Pick<Bus, 'publish'>,
  facts: ClusterFacts,
  error: AgentError | undefined,
  durationMs: number,
): Heartbeat {
  const beat: Heartbeat = {
    time: new Date().toISOString(),
    ok: error === undefined,
    durationMs: Math.round(durationMs * 10) / 10,
    reason: error?.message ?? '',
    cluster: clusterOf(facts),
  }
  bus.publish(heartbeatDone, beat)
  return beat
}

/**
 * The last heartbeat and the cluster as facts of a status report: a console that started after the beat knows them with
 * the next report.
 */
export function beatFacts(facts: ClusterFacts, beat: Heartbeat | undefined): StatusReport['facts'] {
  return {
    ...clusterOf(facts),
    beatAt: beat?.time ?? null,
    beatOk: beat?.ok ?? null,
    beatMs: beat?.ok === true ? beat.durationMs : null,
  }
}

function clusterOf({ kubernetesVersion, nodes, pods, usage }: ClusterFacts): Heartbeat['cluster'] {
  return {
    kubernetesVersion: kubernetesVersion ?? null,
    nodes: nodes.count,
    pods: pods.count,
    cpuUsage: usageText(usage?.cpu),
    memoryUsage: usageText(usage?.memory),
  }
}
