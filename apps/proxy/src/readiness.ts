import type { AgentError, SidecarState } from '@agent/contracts'

import type { CanaryResult } from './canary.ts'

/** Ready means that data flows: at least one live connection brought its latest canary back. */
export function readiness(
  canaries: (CanaryResult | undefined)[],
  outage: AgentError | undefined,
): { state: SidecarState; reason: string } {
  if (canaries.some((canary) => canary?.ok)) return { state: 'ok', reason: '' }
  const failed = canaries.find((canary) => canary?.ok === false)
  if (failed?.ok === false) return { state: 'degraded', reason: explain(failed.error) }
  if (canaries.length > 0) return { state: 'starting', reason: 'waiting for the first canary' }
  if (outage !== undefined) return { state: 'degraded', reason: explain(outage) }
  return { state: 'starting', reason: 'connecting to the control plane' }
}

function explain(error: AgentError): string {
  return `${error.message} (hop: ${error.hop}). ${error.advice}`
}
