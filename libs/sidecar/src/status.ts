import type { Bus } from '@agent/bus'
import {
  type AgentError,
  type SidecarState,
  type StatusReport,
  statusReported,
} from '@agent/contracts'

/** How a sidecar says how it is. */
export type StatusReporter = {
  /** Sets the state; `reason` says why it is not ok, in words for a person. After `stopping` nothing changes any more. */
  report(state: SidecarState, reason?: string, facts?: StatusReport['facts']): void
  /** Nothing can help but a person: ends the process with a clear message and exit code 1. */
  fatal(error: AgentError): void
  readonly current: StatusReport
}

const republishMs = 3_000

/** Keeps the state, publishes it when it changes and every three seconds. */
export function createStatus(
  who: { name: string; instance: string; version: string },
  onFatal: (error: AgentError) => void,
  onReport: () => void = () => {},
): StatusReporter & { attach(bus: Bus): Disposable } {
  let bus: Bus | undefined
  let current: StatusReport = {
    sidecar: who.name,
    instance: who.instance,
    version: who.version,
    state: 'starting',
    reason: 'starting',
    since: new Date().toISOString(),
    facts: {},
  }
  const publish = (): void => bus?.publish(statusReported, current)

  return {
    get current() {
      return current
    },
    report(state, reason = '', facts = current.facts) {
      // Timers of a sidecar that drains still run, and what they find must not make it ready again.
      if (current.state === 'stopping') return
      const isNews = state !== current.state || reason !== current.reason
      const since = state === current.state ? current.since : new Date().toISOString()
      current = { ...current, state, reason, since, facts }
      if (!isNews) return
      publish()
      onReport()
    },
    fatal: onFatal,
    attach(to) {
      bus = to
      publish()
      const timer = setInterval(publish, republishMs)
      return {
        [Symbol.dispose]() {
          clearInterval(timer)
          bus = undefined
        },
      }
    },
  }
}
