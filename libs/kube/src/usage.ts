import * as z from 'zod'

import type { ApiServer } from './api-server.ts'
import { callKube } from './call.ts'

const NodeMetrics = z.object({
  items: z.array(z.object({ usage: z.object({ cpu: z.string(), memory: z.string() }) })),
})
const Nodes = z.object({
  items: z.array(
    z.object({
      status: z.object({ allocatable: z.object({ cpu: z.string(), memory: z.string() }) }),
    }),
  ),
})

/** Share of the nodes' allocatable CPU and memory in use, 0 to 1. */
export type Usage = { cpu: number; memory: number }

/** Asks the metrics API; undefined where the cluster has none, or the agent may not read it. */
export async function readUsage(api: ApiServer, signal: AbortSignal): Promise<Usage | undefined> {
  const metrics = await callKube(api, {
    path: '/apis/metrics.k8s.io/v1beta1/nodes?limit=1000',
    signal,
  })
  const used = NodeMetrics.safeParse(metrics.body)
  if (metrics.status !== 200 || !used.success || used.data.items.length === 0) return undefined
  const nodes = await callKube(api, { path: '/api/v1/nodes?limit=1000', signal })
  const all = Nodes.safeParse(nodes.body)
  if (nodes.status !== 200 || !all.success) return undefined
  const sum = (values: string[]): number =>
    values.reduce((total, value) => total + quantity(value), 0)
  const usage = used.data.items.map((item) => item.usage)
  const allocatable = all.data.items.map((item) => item.status.allocatable)
  return {
    cpu: sum(usage.map(({ cpu }) => cpu)) / sum(allocatable.map(({ cpu }) => cpu)),
    memory: sum(usage.map(({ memory }) => memory)) / sum(allocatable.map(({ memory }) => memory)),
  }
}

const suffixes: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
}

/** A Kubernetes resource quantity (`250m`, `1Gi`) as a number; NaN for what is none. */
export function quantity(text: string): number {
  const [, digits, suffix] = /^([0-9.]+)([a-zA-Z]*)$/.exec(text) ?? []
  return Number(digits) * (suffixes[suffix ?? ''] ?? Number.NaN)
}
