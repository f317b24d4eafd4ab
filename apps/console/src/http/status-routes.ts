import type { Hono } from 'hono'

import { featuresOf } from '../pod/features.ts'
import type { ConsoleDeps, ConsoleEnv } from './deps.ts'

/** Health, readiness, version and metrics: open to the pod network, so they tell no more than they must. */
export function addOpenRoutes(app: Hono<ConsoleEnv>, deps: ConsoleDeps): void {
  app.get('/health', (c) => {
    const { connected, registered } = deps.snapshot()
    const uptimeSeconds = Math.round((performance.now() - deps.startedAtMs) / 1_000)
    return c.json({ status: 'alive', connected, registered, uptimeSeconds })
  })
  app.get('/ready', (c) => {
    const readiness = deps.readiness()
    return c.json(readiness, readiness.ready ? 200 : 503)
  })
  app.get('/version', (c) => c.json(deps.build))
  app.get('/metrics', async (c) =>
    c.text(await deps.metrics.scrape(), 200, {
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
    }),
  )
}

/** What needs a token. */
export function addStatusRoutes(app: Hono<ConsoleEnv>, deps: ConsoleDeps): void {
  app.get('/api/health/detailed', (c) => c.json(deps.snapshot()))
  app.get('/api/status/features', (c) => c.json({ features: featuresOf(deps.pod, deps.config) }))
  app.get('/api/status/connectivity', async (c) => c.json(await deps.testConnectivity()))
  app.get('/api/metrics/runtime', async (c) => c.json({ processes: await deps.metrics.runtime() }))
  app.get('/api/metrics/history', (c) => c.json({ ...deps.history, heartbeats: deps.pod.beats }))
  app.get('/api/events', (c) => {
    const { entries } = deps.pod.events.after(Math.max(0, deps.pod.events.lastId - 200))
    return c.json({ events: entries.map(({ id, value }) => ({ id, ...value })) })
  })
}
