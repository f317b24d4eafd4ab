import type { Bus } from '@agent/bus'
import type { Registry } from 'prom-client'

import { addGauge } from './gauge.ts'

/** Registers what a sidecar's bus tells of itself. */
export function registerBusMetrics(registry: Registry, bus: Bus): void {
  const gauges = [
    ['pipeops_bus_connected', 'Whether the bus is there: 1 or 0.', () => Number(bus.connected)],
    [
      'pipeops_bus_subscriptions',
      'What this sidecar serves and listens to.',
      () => bus.subscriptions,
    ],
    [
      'pipeops_bus_refused_messages',
      'Messages that did not parse and were dropped.',
      () => bus.refusedMessages,
    ],
  ] as const
  for (const [name, help, value] of gauges) {
    addGauge(registry, name, help, value)
  }
}
