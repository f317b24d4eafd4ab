import { Gauge, type Registry } from 'prom-client'

/** Registers a gauge whose value is asked for at each scrape. */
export function addGauge(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read())
    },
  })
}
