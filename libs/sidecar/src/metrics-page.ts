import type { Registry } from 'prom-client'

import { mergeExpositions } from './merge-expositions.ts'

/** What a process answers at /metrics. */
export type MetricsPage = Pick<Registry, 'contentType' | 'metrics'> & {
  add(...hosted: { name: string; metrics: Registry }[]): void
}

/** A sidecar's own metrics as they are; with others in the process, all of them, told apart by a label. */
export function createMetricsPage(name: string, metrics: Registry): MetricsPage {
  const all = [{ name, metrics }]
  return {
    contentType: metrics.contentType,
    async metrics() {
      if (all.length === 1) return metrics.metrics()
      const texts = all.map(async (each) => ({
        text: await each.metrics.metrics(),
        labels: { sidecar: each.name },
      }))
      return mergeExpositions(await Promise.all(texts))
    },
    add: (...hosted) => void all.push(...hosted),
  }
}
