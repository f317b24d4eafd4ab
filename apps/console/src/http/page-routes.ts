import { AgentError } from '@agent/contracts'
import {
  clearSessionCookie,
  isSameOrigin,
  loginPage,
  loginPageHeaders,
  type SessionCookie,
  setSessionCookie,
} from '@agent/weblogin'
import type { Context, Hono } from 'hono'

import { cookieName } from '../access/gate.ts'
import { type AssetName, assetNames } from './assets.ts'
import type { ConsoleDeps, ConsoleEnv } from './deps.ts'
import { openApiDocument } from './openapi.ts'
import { problemFacts } from './problem.ts'

const maxFormBytes = 32_768
const cookie: SessionCookie = { name: cookieName, path: '/', isSecure: false }

/** Scripts and styles of our own only; nothing is loaded from elsewhere, nothing frames the page. */
export const contentSecurityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

/** The dashboard and its files. Every link is relative: the page also lives below the control plane's path. */
export function addPageRoutes(app: Hono<ConsoleEnv>, deps: ConsoleDeps): void {
  app.get('/', (c) => c.redirect('dashboard', 303))
  app.get('/dashboard', (c) => {
    if (!deps.config.PIPEOPS_ENABLE_DASHBOARD) {
      throw new AgentError('not-found', 'the dashboard is turned off (PIPEOPS_ENABLE_DASHBOARD)', {
        hop: 'service',
      })
    }
    return sendAsset(c, deps, 'dashboard.html')
  })
  for (const name of assetNames) {
    app.get(`/assets/${name}`, (c) => sendAsset(c, deps, name))
  }
  const openapi = openApiDocument(deps.build.version)
  app.get('/api/openapi.json', (c) => c.json(openapi))
}

/** Signing in with a token, and out, for whoever reaches the console without the control plane. */
export function addLoginRoute(app: Hono<ConsoleEnv>, deps: ConsoleDeps): void {
  app.post('/login', async (c) => {
    const length = Number(c.req.header('content-length') ?? Number.NaN)
    if (!(length <= maxFormBytes)) throw new AgentError('bad-request', 'the form is too large')
    const form = new URLSearchParams(await c.req.text())
    const token = form.get('token')?.trim() ?? ''
    const { host, origin } = c.env.incoming.headers
    try {
      await deps.gate.admit({ host, origin, authorization: `Bearer ${token}` }, 'GET')
    } catch (cause) {
      return sendLoginPage(c, problemFacts(AgentError.from(cause, 'service')).message)
    }
    c.header('set-cookie', setSessionCookie(cookie, token))
    return c.redirect('dashboard', 303)
  })
  app.post('/logout', (c) => {
    const { host, origin } = c.env.incoming.headers
    if (!isSameOrigin(origin, host)) {
      throw new AgentError('forbidden', 'the form is another site’s', { hop: 'client' })
    }
    c.header('set-cookie', clearSessionCookie(cookie))
    return c.redirect('dashboard', 303)
  })
}

/** The form that asks for a token. */
export function sendLoginPage(c: Context<ConsoleEnv>, problem?: string): Response {
  const page = loginPage({
    action: 'login',
    what: 'a token of the cluster (kubectl create token) or of the console (CONSOLE_TOKEN_FILE)',
    ...(problem === undefined ? {} : { problem }),
  })
  return c.body(page, 401, loginPageHeaders)
}

function sendAsset(c: Context<ConsoleEnv>, deps: ConsoleDeps, name: AssetName): Response {
  const asset = deps.assets.get(name)
  if (asset === undefined) throw new AgentError('not-found', `there is no ${name}`)
  c.header('etag', asset.etag)
  c.header('cache-control', 'no-cache')
  if (c.req.header('if-none-match') === asset.etag) return c.body(null, 304)
  return c.body(new Uint8Array(asset.body), 200, { 'content-type': asset.type })
}
