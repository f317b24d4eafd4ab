import { AgentError, type StreamUser } from '@agent/contracts'
import { Hono } from 'hono'

import type { ConsoleDeps, ConsoleEnv } from './deps.ts'
import {
  addLoginRoute,
  addPageRoutes,
  contentSecurityPolicy,
  sendLoginPage,
} from './page-routes.ts'
import { problemOf } from './problem.ts'
import { addRealtimeRoutes } from './realtime-routes.ts'
import { addOpenRoutes, addStatusRoutes } from './status-routes.ts'

/** The console's HTTP application. What is added before the gate is open; everything after it is not. */
export function createApp(deps: ConsoleDeps): Hono<ConsoleEnv> {
  const app = new Hono<ConsoleEnv>()
  app.onError((error, c) => {
    const known = AgentError.from(error, 'service')
    if (known.code === 'internal')
      deps.log.error({ err: error, path: c.req.path }, 'request failed')
    const isPage = c.req.method === 'GET' && (c.req.header('accept') ?? '').includes('text/html')
    return known.status === 401 && isPage ? sendLoginPage(c) : problemOf(c, known)
  })
  app.notFound((c) =>
    problemOf(c, new AgentError('not-found', 'the console has no such page', { hop: 'service' })),
  )
  app.use(async (c, next) => {
    await next()
    c.header('x-content-type-options', 'nosniff')
    c.header('referrer-policy', 'same-origin')
    if (!c.res.headers.has('content-security-policy')) {
      c.header('content-security-policy', contentSecurityPolicy)
    }
    if (!c.res.headers.has('cache-control')) c.header('cache-control', 'no-store')
  })
  addOpenRoutes(app, deps)
  addLoginRoute(app, deps)
  app.use(async (c, next) => {
    const { headers, method = 'GET' } = c.env.incoming
    const admit = (): Promise<StreamUser> => deps.gate.admit(headers, method)
    c.set('user', await admit())
    c.set('admit', admit)
    await next()
  })
  addStatusRoutes(app, deps)
  addRealtimeRoutes(app, deps)
  addPageRoutes(app, deps)
  return app
}
