import * as z from 'zod'

import { defineEvent, defineRequest } from './contract.ts'

const who = { sidecar: z.string().max(64), instance: z.string().max(128) }

/** Something worth a line on a timeline. */
export const AgentEvent = z.strictObject({
  ...who,
  time: z.iso.datetime(),
  level: z.enum(['info', 'warn', 'error']),
  type: z.enum(['connection', 'registration', 'heartbeat', 'canary', 'sidecar', 'request']),
  /** One sentence for a person. */
  text: z.string().max(1_000),
})
export type AgentEvent = z.infer<typeof AgentEvent>

export const eventHappened = defineEvent({ subject: 'agent.event.happened', payload: AgentEvent })

/** One heartbeat: whether and how fast the control plane acknowledged it, and what it said of the cluster. */
export const Heartbeat = z.strictObject({
  time: z.iso.datetime(),
  ok: z.boolean(),
  durationMs: z.number(),
  /** Why it was not acknowledged; empty when it was. */
  reason: z.string(),
  cluster: z.strictObject({
    kubernetesVersion: z.string().nullable(),
    nodes: z.int().nullable(),
    pods: z.int().nullable(),
    cpuUsage: z.string().nullable(),
    memoryUsage: z.string().nullable(),
  }),
})
export type Heartbeat = z.infer<typeof Heartbeat>

export const heartbeatDone = defineEvent({ subject: 'agent.heartbeat.done', payload: Heartbeat })

/** Log lines of one sidecar, as it wrote them. */
export const LogLines = z.strictObject({
  ...who,
  lines: z.array(z.string().max(16_384)).max(256),
  /** Lines that did not fit and are missing before these. */
  dropped: z.int().nonnegative(),
})
export type LogLines = z.infer<typeof LogLines>

export const logWritten = defineEvent({ subject: 'agent.log.written', payload: LogLines })

/** Somebody reads the logs: every sidecar publishes its lines for this long. Without a reader nothing is sent. */
export const logsWanted = defineEvent({
  subject: 'agent.log.wanted',
  payload: z.strictObject({ leaseSeconds: z.number().positive().max(60) }),
})

/** Asks one sidecar for its metrics in Prometheus’ text format. */
export function metricsOf(sidecar: string, instance: string) {
  return defineRequest({
    subject: `agent.metrics.${subjectToken(`${sidecar}-${instance}`)}`,
    input: z.strictObject({}),
    output: z.strictObject({ text: z.string() }),
  })
}

/** Any name as one token of a subject. */
function subjectToken(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_-]/g, '_')
}
