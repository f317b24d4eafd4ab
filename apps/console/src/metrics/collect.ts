import type { Bus } from '@agent/bus'
import { metricsOf } from '@agent/contracts'
import { type Exposition, mergeExpositions, readMetric } from '@agent/sidecar'
import { Gauge, type Registry } from 'prom-client'

import type { PodView } from '../pod/pod-view.ts'

const askMs = 2_000

/** The metrics of every sidecar in the pod, fetched over the bus at each call. */
export type Metrics = {
  /** One exposition, labelled by sidecar and instance. */
  scrape(): Promise<string>
  runtime(): Promise<ProcessRuntime[]>
}

type Who = { sidecar: string; instance: string }

/** How one process does. */
export type ProcessRuntime = {
  sidecar: string
  instance: string
  uptimeSeconds: number
  residentBytes: number | null
  heapBytes: number | null
  cpuSeconds: number | null
  eventLoopLagP99Ms: number | null
}

/** Collects from `pod`'s sidecars; `own` are the console's. */
export function createMetrics(
  bus: Pick<Bus, 'request'>,
  pod: Pick<PodView, 'sidecars'>,
  own: { registry: Registry; instance: string },
): Metrics {
  const up = new Gauge({
    name: 'pipeops_sidecar_up',
    help: 'Whether a sidecar that was seen answers: 1 or 0.',
    labelNames: ['of', 'of_instance'],
    registers: [own.registry],
  })

  let collecting: Promise<Exposition[]> | undefined
  /** Whoever asks meanwhile shares one collection: anybody in the pod network may ask. */
  function collect(): Promise<Exposition[]> {
    collecting ??= ask().finally(() => (collecting = undefined))
    return collecting
  }

  async function ask(): Promise<Exposition[]> {
    const isOwn = ({ sidecar, instance }: Who): boolean =>
      sidecar === 'console' && instance === own.instance
    const others = pod.sidecars().filter((each) => !isOwn(each))
    const answers = await Promise.allSettled(
      others.map(({ sidecar, instance }) =>
        bus.request(metricsOf(sidecar, instance), {}, { timeoutMs: askMs }),
      ),
    )
    up.reset()
    const found = others.flatMap(({ sidecar, instance }, index) => {
      const answer = answers[index] as PromiseSettledResult<{ text: string }>
      up.set({ of: sidecar, of_instance: instance }, Number(answer.status === 'fulfilled'))
      return answer.status === 'fulfilled'
        ? [{ text: answer.value.text, labels: { sidecar, instance } }]
        : []
    })
    const text = await own.registry.metrics()
    return [...found, { text, labels: { sidecar: 'console', instance: own.instance } }]
  }

  return {
    scrape: async () => mergeExpositions(await collect()),
    runtime: async () =>
      (await collect()).flatMap(({ text, labels }) => {
        const read = (name: string): number | null => readMetric(text, name) ?? null
        const startedAt = read('process_start_time_seconds')
        // Hosted in another's process, which answers for it.
        if (startedAt === null) return []
        const lag = read('nodejs_eventloop_lag_p99_seconds')
        return {
          sidecar: labels['sidecar'] as string,
          instance: labels['instance'] as string,
          uptimeSeconds: Math.round(Date.now() / 1_000 - startedAt),
          residentBytes: read('process_resident_memory_bytes'),
          heapBytes: read('nodejs_heap_size_used_bytes'),
          cpuSeconds: read('process_cpu_seconds_total'),
          eventLoopLagP99Ms: lag === null ? null : Math.round(lag * 1e5) / 100,
        }
      }),
  }
}
