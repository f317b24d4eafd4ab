import * as z from 'zod'

import { TicketKind, Windows } from './ticket.ts'

/**
 * The control connection: JSON text messages in the v1 envelope `{type, request_id, payload, timestamp}`.
 * Both ends tolerate fields they do not know: the two are released apart.
 */
const envelope = {
  request_id: z.string().max(128).optional(),
  timestamp: z.string().max(64).optional(),
}

function message<Type extends string, Payload extends z.ZodType>(type: Type, payload: Payload) {
  return z.object({ type: z.literal(type), ...envelope, payload })
}

export const RegisterPayload = z.object({
  agent_id: z.string().min(1).max(128),
  /** The cluster's name; the agent token may be bound to it. */
  name: z.string().min(1).max(253),
  cluster_id: z.string().max(128).optional(),
  /** Tells replicas of one agent apart. */
  instance: z.string().max(128).optional(),
  agent_version: z.string().max(64),
  k8s_version: z.string().max(64).optional(),
  hostname: z.string().max(253).optional(),
  labels: z.record(z.string(), z.string()).optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
  features: z.object({ streams: z.int().optional() }).optional(),
})
export type RegisterPayload = z.infer<typeof RegisterPayload>

export const HeartbeatPayload = z.object({
  cluster_id: z.string(),
  agent_id: z.string(),
  status: z.enum(['healthy', 'degraded']),
  tunnel_status: z.enum(['connected', 'disconnected']),
  metadata: z.object({
    agent_version: z.string(),
    k8s_version: z.string().nullable(),
    k8s_nodes: z.int().nullable(),
    k8s_pods: z.int().nullable(),
    /** Share of allocatable, "12.5%"; null without a metrics API. */
    cpu_usage: z.string().nullable(),
    memory_usage: z.string().nullable(),
    connections: z.int(),
    /** Why something is degraded, in words; empty when healthy. */
    reason: z.string(),
  }),
})
export type HeartbeatPayload = z.infer<typeof HeartbeatPayload>

/** What an agent sends. */
export const AgentMessage = z.discriminatedUnion('type', [
  message('register', RegisterPayload),
  message('heartbeat', HeartbeatPayload),
  message('ticket_request', z.object({ kind: TicketKind })),
  message('pong', z.object({}).optional()),
  message('deregister', z.object({ reason: z.string().max(256) })),
])
export type AgentMessage = z.infer<typeof AgentMessage>

export const RegisterSuccessPayload = z.object({
  cluster_id: z.string().min(1),
  cluster_uuid: z.string().optional(),
  name: z.string().optional(),
  status: z.string().optional(),
  /** A cluster credential some control planes hand out; kept with the identity, used by nobody else. */
  token: z.string().optional(),
  /** Cadence in seconds; held within 5–30. */
  heartbeat_interval_seconds: z.number().optional(),
  /** Present when the control plane speaks streams v2. */
  streams: z.object({ version: z.literal(2), url: z.url(), windows: Windows }).optional(),
})
export type RegisterSuccessPayload = z.infer<typeof RegisterSuccessPayload>

/** What a control plane sends. */
export const ControlPlaneMessage = z.discriminatedUnion('type', [
  message('register_success', RegisterSuccessPayload),
  message('register_in_progress', z.object({}).optional()),
  message(
    'heartbeat_ack',
    z.object({ heartbeat_interval_seconds: z.number().optional() }).optional(),
  ),
  message(
    'ticket',
    z.object({ url: z.url(), ticket: z.string().min(1), expires_at: z.iso.datetime() }),
  ),
  message('ping', z.object({}).optional()),
  message('error', z.object({ code: z.string().optional(), error: z.string() })),
  /** The control plane leaves: reconnect after this long. */
  message('reconnect', z.object({ reason: z.string(), retry_after_ms: z.int().nonnegative() })),
])
export type ControlPlaneMessage = z.infer<typeof ControlPlaneMessage>

/** Largest control message either end accepts, in bytes. */
export const maxControlMessageBytes = 262_144

/** Paths on the control plane's one port. */
export const paths = {
  controlSocket: '/api/v1/clusters/agent/ws',
  streamSocket: '/api/v1/clusters/agent/streams',
  kubectlPrefix: '/api/v1/clusters/agent/',
} as const

/** WebSocket close codes (4000–4999 are for applications, RFC 6455 §7.4.2). */
export const closeCodes = {
  goingAway: 1001,
  protocol: 4002,
  credentialsRefused: 4001,
  replaced: 4009,
  overloaded: 4029,
} as const
