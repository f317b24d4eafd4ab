import { AgentError } from '@agent/contracts'

import type { ClusterPresence } from '../clusters.ts'

/** An agent reconnects within 19 s of its network, and a pod is replaced within a minute. */
const briefMs = 60_000
/** Whoever asks again waits here, not on its own side. */
const againMs = 1_000

/** What is known of a cluster that has no stream connection. */
export type Absence = {
  presence: Pick<ClusterPresence, 'agents' | 'connectedSince'>
  /** For how long it has had none. */
  missingMs: number
}

/**
 * Whether another connection may be expected: one was here a moment ago, or the agent came a moment ago. Only then a
 * request waits, and is worth being sent again.
 */
export function isBrief({ presence, missingMs }: Absence, now: number = Date.now()): boolean {
  const { connectedSince } = presence
  const connectedMs = connectedSince === undefined ? Infinity : now - Date.parse(connectedSince)
  return Math.min(missingMs, connectedMs) < briefMs
}

/** Why a request cannot be carried, and what is missing. */
export function absenceError(absence: Absence, now?: number): AgentError {
  const message =
    absence.presence.agents > 0
      ? 'the agent is connected but has no stream connection: its proxy is off or cannot connect'
      : 'the cluster’s agent is not connected'
  return new AgentError('cluster-offline', message, {
    ...(isBrief(absence, now) ? { retryAfterMs: againMs } : {}),
  })
}
