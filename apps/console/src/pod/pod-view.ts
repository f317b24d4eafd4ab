import type { Bus } from '@agent/bus'
import {
  type AgentEvent,
  type AuditRecord,
  eventHappened,
  type Heartbeat,
  heartbeatDone,
  requestFailed,
  type StatusReport,
  statusReported,
} from '@agent/contracts'

import { EventRing } from './event-ring.ts'

/** Reports come every three seconds; after four missed ones a sidecar counts as lost. */
const lostAfterMs = 12_000
const forgottenAfterMs = 3_600_000
const beatsKeptMs = 3_600_000
const maxBeats = 720
const keptEvents = 1_000

/** A sidecar as the console knows it. */
export type SidecarView = StatusReport & { lastSeen: string; isLost: boolean }

/** What the console knows of its pod, all of it learned from the bus. */
export type PodView = AsyncDisposable & {
  readonly events: EventRing<AgentEvent>
  /** Of the last hour. */
  readonly beats: readonly Heartbeat[]
  sidecars(): SidecarView[]
  /** The one in the best state of that name: scaled sidecars do the same work. */
  best(sidecar: string): SidecarView | undefined
  /** Adds an event of the console's own. */
  tell(event: Omit<AgentEvent, 'time'>): void
}

type Seen = { report: StatusReport; at: number; isLost: boolean }

/** Listens to the pod. `now` is the wall clock in milliseconds. */
export function watchPod(bus: Bus, now: () => number = Date.now): PodView {
  const seen = new Map<string, Seen>()
  const beats: Heartbeat[] = []
  const events = new EventRing<AgentEvent>(keptEvents)

  function tell(event: Omit<AgentEvent, 'time'>): void {
    events.add({ ...event, time: new Date(now()).toISOString() })
  }

  function take(report: StatusReport): void {
    const key = `${report.sidecar}/${report.instance}`
    const before = seen.get(key)
    seen.set(key, { report, at: now(), isLost: false })
    const { sidecar, instance, state, reason } = report
    const hasChanged = before?.report.state !== state || before.isLost
    if (!hasChanged && before.report.reason === reason) return
    // Only repeats what one of those says that it hosts.
    if (report.facts['hosts'] !== undefined) return
    const level = state === 'ok' ? 'info' : state === 'failed' ? 'error' : 'warn'
    const text = reason === '' ? `${sidecar} is ${state}` : `${sidecar} is ${state}: ${reason}`
    tell({ sidecar, instance, type: 'sidecar', level, text: text.slice(0, 1_000) })
  }

  function sweep(): void {
    while (beats[0] !== undefined && now() - Date.parse(beats[0].time) > beatsKeptMs) beats.shift()
    for (const [key, entry] of seen) {
      const silentMs = now() - entry.at
      const isStopped = entry.report.state === 'stopping'
      if (silentMs > forgottenAfterMs || (isStopped && silentMs > lostAfterMs)) seen.delete(key)
      if (entry.isLost || isStopped || silentMs <= lostAfterMs) continue
      entry.isLost = true
      const { sidecar, instance } = entry.report
      const seconds = Math.round(silentMs / 1_000)
      const text = `${sidecar} has said nothing for ${seconds} s`
      tell({ sidecar, instance, type: 'sidecar', level: 'error', text })
    }
  }

  function takeFailed({ records }: { records: AuditRecord[] }): void {
    for (const { decision, hop, code, method, path, user, reason } of records) {
      const text =
        decision === 'deny'
          ? `${method} ${path} by ${user} was refused: ${reason}`
          : `${method} ${path} by ${user} failed at the ${hop} (${code})`
      tell({
        sidecar: 'proxy',
        instance: '',
        type: 'request',
        level: 'warn',
        text: text.slice(0, 1_000),
      })
    }
  }

  const listening = [
    bus.subscribe(statusReported, take),
    bus.subscribe(eventHappened, (event) => events.add(event)),
    bus.subscribe(requestFailed, takeFailed),
    bus.subscribe(heartbeatDone, (beat) => {
      beats.push(beat)
      if (beats.length > maxBeats) beats.shift()
      if (beat.ok) return
      const text = `a heartbeat was not acknowledged: ${beat.reason}`
      tell({ sidecar: 'link', instance: '', type: 'heartbeat', level: 'warn', text })
    }),
  ]
  const timer = setInterval(sweep, 1_000)

  return {
    events,
    beats,
    tell,
    sidecars: () =>
      [...seen.values()]
        .map(({ report, at }) => ({
          ...report,
          lastSeen: new Date(at).toISOString(),
          isLost: now() - at > lostAfterMs,
        }))
        .toSorted((a, b) => key(a).localeCompare(key(b))),
    best(sidecar) {
      const all = this.sidecars().filter((each) => each.sidecar === sidecar)
      const live = all.filter(({ isLost }) => !isLost)
      return live.find(({ state }) => state === 'ok') ?? live[0] ?? all[0]
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      for (const subscription of listening) await subscription[Symbol.asyncDispose]()
    },
  }
}

function key({ sidecar, instance }: StatusReport): string {
  return `${sidecar}/${instance}`
}
