import { every } from '@agent/sidecar'

import type { PodView } from './pod-view.ts'

const intervalMs = 5_000
/** An hour. */
const keptPoints = 720

/** What the stream path did during one interval. */
export type Point = {
  time: string
  bytesInPerSecond: number
  bytesOutPerSecond: number
  requestsPerSecond: number
  streams: number
  canaryMs: number | null
}

/** Throughput and streams over the last hour. */
export type History = { readonly intervalSeconds: number; readonly points: readonly Point[] }

type Totals = { bytesIn: number; bytesOut: number; requests: number }

/** Takes a point every five seconds from what the proxies report, until the signal ends. */
export function keepHistory(pod: Pick<PodView, 'sidecars'>, signal: AbortSignal): History {
  const points: Point[] = []
  const before = new Map<string, Totals>()

  function sample(): void {
    const sum = { bytesIn: 0, bytesOut: 0, requests: 0, streams: 0 }
    let canaryMs: number | null = null
    const sidecars = pod.sidecars()
    for (const known of before.keys()) {
      if (!sidecars.some(({ instance }) => instance === known)) before.delete(known)
    }
    for (const { sidecar, instance, isLost, facts } of sidecars) {
      if (sidecar !== 'proxy' || isLost) continue
      const totals = {
        bytesIn: Number(facts.bytesIn ?? 0),
        bytesOut: Number(facts.bytesOut ?? 0),
        requests: Number(facts.requests ?? 0),
      }
      const last = before.get(instance) ?? totals
      before.set(instance, totals)
      for (const key of ['bytesIn', 'bytesOut', 'requests'] as const) {
        // Totals are of live connections: after a reconnect they begin again.
        sum[key] += totals[key] < last[key] ? totals[key] : totals[key] - last[key]
      }
      sum.streams += Number(facts.streams ?? 0)
      if (typeof facts.canaryMs === 'number') canaryMs = Math.max(canaryMs ?? 0, facts.canaryMs)
    }
    const perSecond = (total: number): number => Math.round((total / intervalMs) * 10_000) / 10
    points.push({
      time: new Date().toISOString(),
      bytesInPerSecond: perSecond(sum.bytesIn),
      bytesOutPerSecond: perSecond(sum.bytesOut),
      requestsPerSecond: perSecond(sum.requests),
      streams: sum.streams,
      canaryMs,
    })
    if (points.length > keptPoints) points.shift()
  }

  void every(intervalMs, signal, sample)
  return { intervalSeconds: intervalMs / 1_000, points }
}
