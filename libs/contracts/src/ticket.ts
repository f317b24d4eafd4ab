import * as z from 'zod'

import { defineRequest } from './contract.ts'

/** Who may open a stream connection: the sidecars that move bytes. */
export const TicketKind = z.enum(['proxy', 'tunnel'])
export type TicketKind = z.infer<typeof TicketKind>

/** Flow-control windows in bytes, as the control plane announces them. */
export const Windows = z.object({
  /** A stream's first receive window. */
  stream: z.int().min(65_536).max(16_777_216),
  /** How far a stream's window may grow. */
  streamMax: z.int().min(65_536).max(67_108_864),
  /** All unconsumed bytes of a session together. */
  session: z.int().min(65_536).max(268_435_456),
})
export type Windows = z.infer<typeof Windows>

export const defaultWindows: Windows = {
  stream: 1_048_576,
  streamMax: 8_388_608,
  session: 67_108_864,
}

/** A short-lived right to open one stream connection to one URL. */
export const Ticket = z.strictObject({
  /** wss:// address of the stream socket. */
  url: z.url({ protocol: /^wss?$/ }),
  /** Secret; sent as bearer token on the upgrade, never logged. */
  ticket: z.string().min(1),
  expiresAt: z.iso.datetime(),
  clusterId: z.string(),
  windows: Windows,
})
export type Ticket = z.infer<typeof Ticket>

export const issueTicket = defineRequest({
  subject: 'agent.ticket.issue',
  input: z.strictObject({ kind: TicketKind }),
  output: Ticket,
})
