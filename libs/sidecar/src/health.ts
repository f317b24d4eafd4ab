import type { AddressInfo } from 'node:net'

import { AgentError } from '@agent/contracts'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import type { Registry } from 'prom-client'

import type { StatusReporter } from './status.ts'

/** /healthz (the process lives), /readyz (its state is ok, else why not) and /metrics. */
export function createHealthApp(
  status: Pick<StatusReporter, 'current'>,
  metrics: Pick<Registry, 'contentType' | 'metrics'>,
): Hono {
  const app = new Hono()
  app.get('/healthz', (c) => c.json({ status: 'alive' }))
  app.get('/readyz', (c) => {
    const { state, reason, since, facts } = status.current
    return c.json({ state, reason, since, facts }, state === 'ok' ? 200 : 503)
  })
  app.get('/metrics', async (c) =>
    c.text(await metrics.metrics(), 200, { 'content-type': metrics.contentType }),
  )
  return app
}

/** Serves the health endpoints; resolves once the port is bound, `config-invalid` where it cannot be. */
export async function serveHealth(
  app: Hono,
  address: { host: string; port: number },
): Promise<AsyncDisposable & { port: number }> {
  const { promise, resolve, reject } = Promise.withResolvers<AddressInfo>()
  const server = serve({ fetch: app.fetch, hostname: address.host, port: address.port }, resolve)
  server.once('error', (cause: NodeJS.ErrnoException) => {
    const where = `${address.host}:${address.port}`
    const text = `HEALTH_HOST / HEALTH_PORT: cannot listen on ${where} (${cause.code})`
    reject(new AgentError('config-invalid', text, { cause }))
  })
  const { port } = await promise
  return {
    port,
    async [Symbol.asyncDispose]() {
      if ('closeAllConnections' in server) server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
