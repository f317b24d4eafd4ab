import * as z from 'zod'

import { defineEvent } from './contract.ts'

/** How a sidecar says it is; readiness is derived from it. */
export const SidecarState = z.enum(['starting', 'ok', 'degraded', 'failed', 'stopping'])
export type SidecarState = z.infer<typeof SidecarState>

/** One sidecar's own account of itself, published when it changes and every three seconds. */
export const StatusReport = z.strictObject({
  sidecar: z.string(),
  instance: z.string(),
  version: z.string(),
  state: SidecarState,
  /** Why it is not ok, in words for a person; empty when ok. */
  reason: z.string(),
  /** When the state last changed, RFC 3339. */
  since: z.iso.datetime(),
  /** Named facts for the console: connection counts, canary time, last heartbeat. */
  facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
})
export type StatusReport = z.infer<typeof StatusReport>

export const statusReported = defineEvent({
  subject: 'agent.status.reported',
  payload: StatusReport,
})
