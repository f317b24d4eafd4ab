import type { Bus } from '@agent/bus'
import { metricsOf } from '@agent/contracts'
import type { Registry } from 'prom-client'

/** Lets the console read this sidecar's metrics over the bus. */
export function serveMetrics(
  bus: Bus,
  metrics: Registry,
  who: { sidecar: string; instance: string },
): AsyncDisposable {
  return bus.serve(metricsOf(who.sidecar, who.instance), async () => ({
    text: await metrics.metrics(),
  }))
}
