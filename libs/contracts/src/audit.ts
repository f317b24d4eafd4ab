import * as z from 'zod'

import { defineEvent } from './contract.ts'
import { hops } from './errors.ts'

/** One request that reached the proxy, written when it ends. Holds no header, body or query value. */
export const AuditRecord = z.strictObject({
  id: z.string(),
  time: z.iso.datetime(),
  kind: z.enum(['kube', 'service', 'console', 'canary']),
  user: z.string(),
  groups: z.array(z.string()),
  method: z.string(),
  path: z.string(),
  upgrade: z.string().nullable(),
  decision: z.enum(['allow', 'deny']),
  reason: z.string(),
  /** HTTP status that went back, or null where no answer came. */
  status: z.int().nullable(),
  code: z.string().nullable(),
  hop: z.enum(hops).nullable(),
  /** Until the answer's head came; null where none did. */
  answerMs: z.number().nullable(),
  durationMs: z.number(),
  requestBytes: z.int(),
  responseBytes: z.int(),
})
export type AuditRecord = z.infer<typeof AuditRecord>

/**
 * Requests that policy refused, or that failed at the API server or a service. They travel in batches: at most 64, at
 * most a quarter of a second old. All the others are in the proxy's log alone: the bus is not for every request.
 */
export const requestFailed = defineEvent({
  subject: 'agent.request.failed',
  payload: z.strictObject({ records: z.array(AuditRecord).min(1).max(64) }),
})
