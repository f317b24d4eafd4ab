import type { PodView, SidecarView } from './pod-view.ts'

/** Whether the agent does its work: registered, heartbeats acknowledged, the data-plane canary back. */
export type Readiness = { ready: boolean; reason: string; since: string }

/** Derives readiness from what the expected sidecars say; `since` is when it last changed. */
export function createReadiness(
  pod: Pick<PodView, 'best'>,
  bus: { readonly connected: boolean },
  expects: readonly string[],
  now: () => number = Date.now,
): () => Readiness {
  let last: Readiness | undefined
  return () => {
    const reason = whyNot(pod, bus, expects)
    const ready = reason === ''
    const since = last?.ready === ready ? last.since : new Date(now()).toISOString()
    last = { ready, reason, since }
    return last
  }
}

function whyNot(
  pod: Pick<PodView, 'best'>,
  bus: { readonly connected: boolean },
  expects: readonly string[],
): string {
  if (!bus.connected) return 'the pod’s bus is away; nothing is known of the sidecars'
  // Link is ok only once registered and while its heartbeats are acknowledged; proxy only while its canary returns.
  for (const name of expects) {
    const reason = trouble(name, pod.best(name))
    if (reason !== '') return reason
  }
  return ''
}

function trouble(name: string, view: SidecarView | undefined): string {
  if (view === undefined) return `nothing was heard of the ${name} sidecar yet`
  if (view.isLost) return `the ${name} sidecar is silent since ${view.lastSeen}`
  if (view.state === 'ok') return ''
  return `${name} is ${view.state}${view.reason === '' ? '' : `: ${view.reason}`}`
}
