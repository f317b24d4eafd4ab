import type { StatusReport } from '@agent/contracts'

/** A report older than this is of a process that is gone. */
const staleMs = 25_000

/** How many stream connections the other sidecars report. */
export type StreamCensus = { take(report: StatusReport): void; count(): number }

/** Adds up what each instance last reported. */
export function createStreamCensus(now: () => number = () => performance.now()): StreamCensus {
  const seen = new Map<string, { connections: number; atMs: number }>()
  return {
    take({ instance, facts, state }) {
      const { connections } = facts
      if (typeof connections !== 'number') return
      seen.set(instance, { connections: state === 'stopping' ? 0 : connections, atMs: now() })
    },
    count() {
      let sum = 0
      for (const [instance, { connections, atMs }] of seen) {
        if (now() - atMs > staleMs) seen.delete(instance)
        else sum += connections
      }
      return sum
    },
  }
}
