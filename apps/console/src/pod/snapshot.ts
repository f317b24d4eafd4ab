import type { HopView } from './path-hops.ts'
import type { PodView } from './pod-view.ts'
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
  const lastBeat = pod.beats.at(-1)
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
      last: lastBeat?.time ?? null,
      ok: lastBeat?.ok ?? null,
      durationMs: lastBeat?.durationMs ?? null,
      lastHour: pod.beats.length,
      missedLastHour: pod.beats.filter(({ ok }) => !ok).length,
    },
    cluster: lastBeat?.cluster ?? null,
    streams: {
      connections: total('connections'),
      open: total('streams'),
      forwards: total('forwards'),
      requests: total('requests'),
    },
  }
}

function textOr(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
