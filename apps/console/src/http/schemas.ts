import { AgentEvent, CheckStep, Heartbeat, PodLogsQuery, SidecarState } from '@agent/contracts'
import * as z from 'zod'

/** Shapes of the console's answers and questions; the OpenAPI document is made of them. */
const Time = z.iso.datetime()

export const Health = z.object({
  status: z.literal('alive'),
  connected: z.boolean().describe('Whether link is connected to the control plane.'),
  registered: z.boolean(),
  uptimeSeconds: z.number(),
})

export const Ready = z.object({
  ready: z.boolean(),
  reason: z.string().describe('Why not; empty when ready.'),
  since: Time,
})

export const Version = z.object({
  version: z.string(),
  commit: z.string(),
  buildDate: z.string(),
  node: z.string(),
})

const Hop = z.object({
  id: z.string(),
  name: z.string(),
  state: z.enum(['ok', 'warn', 'down', 'unknown', 'off']),
  latencyMs: z.number().nullable(),
  text: z.string(),
})

export const DetailedHealth = z.object({
  version: z.string(),
  ready: z.boolean(),
  reason: z.string(),
  since: Time,
  connected: z.boolean(),
  registered: z.boolean(),
  agent: z.object({
    id: z.string().nullable(),
    clusterId: z.string().nullable(),
    clusterName: z.string().nullable(),
    controlPlane: z.string().nullable(),
  }),
  hops: z.array(Hop).describe('The way of a request, and of control, hop by hop.'),
  sidecars: z.array(
    z.object({
      sidecar: z.string(),
      instance: z.string(),
      version: z.string(),
      state: SidecarState,
      reason: z.string(),
      since: Time,
      lastSeen: Time,
      isLost: z.boolean(),
    }),
  ),
  heartbeat: z.object({
    last: Time.nullable(),
    ok: z.boolean().nullable(),
    durationMs: z.number().nullable(),
    lastHour: z.int(),
    missedLastHour: z.int(),
  }),
  cluster: Heartbeat.shape.cluster.nullable(),
  streams: z.object({
    connections: z.number(),
    open: z.number(),
    forwards: z.number(),
    requests: z.number(),
  }),
})

export const Features = z.object({
  features: z.array(
    z.object({
      name: z.string(),
      enabled: z.boolean(),
      negotiated: z
        .boolean()
        .nullable()
        .describe('Whether the control plane agreed; null where it has no say.'),
      reason: z.string().describe('Why it is off.'),
    }),
  ),
})

export const Connectivity = z.object({
  startedAt: Time,
  durationMs: z.number(),
  verdict: z.enum(['ok', 'warn', 'fail']),
  brokenHop: z.string().nullable(),
  advice: z.string().describe('What to do about the first thing that is broken.'),
  steps: z.array(CheckStep),
})

export const Runtime = z.object({
  processes: z.array(
    z.object({
      sidecar: z.string(),
      instance: z.string(),
      uptimeSeconds: z.number(),
      residentBytes: z.number().nullable(),
      heapBytes: z.number().nullable(),
      cpuSeconds: z.number().nullable(),
      eventLoopLagP99Ms: z.number().nullable(),
    }),
  ),
})

export const HistoryAnswer = z.object({
  intervalSeconds: z.number(),
  points: z.array(
    z.object({
      time: Time,
      bytesInPerSecond: z.number(),
      bytesOutPerSecond: z.number(),
      requestsPerSecond: z.number(),
      streams: z.number(),
      canaryMs: z.number().nullable(),
    }),
  ),
  heartbeats: z.array(Heartbeat),
})

export const RecentEvents = z.object({
  events: z.array(AgentEvent.extend({ id: z.int() })),
})

export const Problem = z.object({
  error: z.object({ code: z.string(), message: z.string(), hop: z.string(), advice: z.string() }),
})

const Flag = z.enum(['true', 'false']).transform((value) => value === 'true')
const count = (most: number) => z.coerce.number().int().min(0).max(most)

export const EventsQuery = z.strictObject({
  lastEventId: count(Number.MAX_SAFE_INTEGER).optional(),
  status: Flag.default(false).describe('Also send the whole status whenever it changes.'),
})

export const LogsQuery = z
  .strictObject({
    namespace: PodLogsQuery.shape.namespace.optional(),
    pod: PodLogsQuery.shape.pod.optional(),
    container: PodLogsQuery.shape.container,
    since: z.coerce.number().int().min(1).max(31_536_000).optional().describe('Seconds back.'),
    tail: count(10_000).default(200).describe('Lines from before now.'),
    follow: Flag.default(true),
    grep: z.string().max(256).optional().describe('Only lines that contain this text, case aside.'),
    sidecar: z.string().max(64).optional().describe('Without a pod: only this sidecar’s lines.'),
    level: z
      .enum(['debug', 'info', 'warn', 'error'])
      .optional()
      .describe('Without a pod: this severe or more.'),
  })
  .refine(({ namespace, pod }) => (namespace === undefined) === (pod === undefined), {
    path: ['pod'],
    error: 'namespace and pod go together',
  })
export type LogsQuery = z.infer<typeof LogsQuery>
