import type { Heartbeat } from '@agent/contracts'

import type { HopView } from './path-hops.ts'
import type { PodView, SidecarView } from './pod-view.ts'
import type { Readiness } from './readiness.ts'

/** All that the dashboard shows at a glance, and `/api/health/detailed` answers. */
export type Snapshot = ReturnType<typeof takeSnapshot>

/** Puts together what is known now. */
export function takeSnapshot(
  pod: Pick<PodView, 'best' | 'sidecars' | 'beats'>,
  options: { readiness: Readiness; hops: HopView[]; version: string },
) {
  const link = pod.best('link')
  const proxies = pod.sidecars().filter(({ sidecar, isLost }) => sidecar === 'proxy' && !isLost)
  const total = (fact: string): number =>
    proxies.reduce((sum, { facts }) => sum + Number(facts[fact] ?? 0), 0)
  const isLinkLive = link !== undefined && !link.isLost
  return {
    version: options.version,
    ready: options.readiness.ready,
    reason: options.readiness.reason,
    since: options.readiness.since,
    connected: isLinkLive && link.facts['connected'] === true,
    registered: isLinkLive && link.facts['registered'] === true,
    agent: {
      id: textOr(link?.facts['agentId']),
      clusterId: textOr(link?.facts['clusterId']),
      clusterName: textOr(link?.facts['clusterName']),
      controlPlane: textOr(link?.facts['controlPlane']),
    },
    hops: options.hops,
    sidecars: pod.sidecars().map(({ facts: _facts, ...view }) => view),
    heartbeat: {
      ...lastBeatOf(link, pod.beats),
      lastHour: pod.beats.length,
      missedLastHour: pod.beats.filter(({ ok }) => !ok).length,
    },
    cluster: clusterOf(link, pod.beats),
    streams: {
      connections: total('connections'),
      open: total('streams'),
      forwards: total('forwards'),
      requests: total('requests'),
    },
  }
}

/** What was heard; or what link reports again and again, which a console that has just started knows, too. */
function lastBeatOf(link: SidecarView | undefined, beats: readonly Heartbeat[]) {
  const { beatAt, beatOk, beatMs } = link?.facts ?? {}
  const { time = null, ok = null, durationMs = null } = beats.at(-1) ?? {}
  if (typeof beatAt === 'string' && (time === null || beatAt > time)) {
    return { last: beatAt, ok: beatOk === true, durationMs: numberOr(beatMs) }
  }
  return { last: time, ok, durationMs }
}

function clusterOf(
  link: SidecarView | undefined,
  beats: readonly Heartbeat[],
): Heartbeat['cluster'] | null {
  const facts = link?.facts
  // A link that starts, or waits for its bus, has no facts yet.
  if (facts?.['nodes'] === undefined) return beats.at(-1)?.cluster ?? null
  return {
    kubernetesVersion: textOr(facts['kubernetesVersion']),
    nodes: numberOr(facts['nodes']),
    pods: numberOr(facts['pods']),
    cpuUsage: textOr(facts['cpuUsage']),
    memoryUsage: textOr(facts['memoryUsage']),
  }
}

function textOr(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function numberOr(value: unknown): number | null {
  return typeof value === 'number' ? value : null
}
