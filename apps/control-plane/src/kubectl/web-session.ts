import type { IncomingMessage, ServerResponse } from 'node:http'

import { AgentError } from '@agent/contracts'
import {
  clearSessionCookie,
  isSameOrigin,
  loginPage,
  loginPageHeaders,
  readSessionCookie,
  type SessionCookie,
  setSessionCookie,
} from '@agent/weblogin'

import { sendStatus } from '../kube-status.ts'

const maxFormBytes = 32_768

/** What a browser has instead of an `Authorization` header, for one cluster's console and nothing else. */
export function sessionCookie(consolePath: string): SessionCookie {
  return { name: 'pipeops_session', path: consolePath, isSecure: true }
}

/** The header a browser's cookie stands for; a page of another origin gets nothing out of it. */
export function cookieAuthorization(
  { headers }: IncomingMessage,
  cookie: SessionCookie,
): string | undefined {
  const token = readSessionCookie(headers.cookie, cookie.name)
  if (token === undefined || !isSameOrigin(headers.origin, headers.host)) return undefined
  return `Bearer ${token}`
}

/** Whether a person looks at the answer. */
export function wantsPage({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && (headers.accept ?? '').includes('text/html')
}

/** Shows the form that asks for a token. */
export function sendLoginPage(response: ServerResponse, problem?: string): void {
  const page = loginPage({
    action: 'login',
    what: 'a user token of the control plane (ctl tokens create)',
    ...(problem === undefined ? {} : { problem }),
  })
  response.writeHead(401, loginPageHeaders)
  response.end(page)
}

/** Leads from `…/agent` to `…/agent/`, without which the pages' relative links lead elsewhere. */
export function addsSlash(
  { url = '', method }: IncomingMessage,
  response: ServerResponse,
  prefix: string,
): boolean {
  if (url.startsWith(prefix) || (method !== 'GET' && method !== 'HEAD')) return false
  response.writeHead(308, { location: `agent/${url.slice(prefix.length - 1)}` })
  response.end()
  return true
}

/** Takes the form: a token that `check` accepts becomes a cookie. */
export async function takeLogin(
  request: IncomingMessage,
  response: ServerResponse,
  options: { cookie: SessionCookie; check(authorization: string): AgentError | undefined },
): Promise<void> {
  if (!isSameOrigin(request.headers.origin, request.headers.host)) {
    return sendStatus(response, new AgentError('forbidden', 'the form is another site’s'))
  }
  const form = await readForm(request)
  const token = form.get('token')?.trim() ?? ''
  const problem = options.check(`Bearer ${token}`)
  if (problem !== undefined) return sendLoginPage(response, problem.message)
  response.writeHead(303, {
    location: 'dashboard',
    'set-cookie': setSessionCookie(options.cookie, token),
    'cache-control': 'no-store',
  })
  response.end()
}

/** Ends the session, when a page of ours asks for it. */
export function takeLogout(
  request: IncomingMessage,
  response: ServerResponse,
  cookie: SessionCookie,
): void {
  if (!isSameOrigin(request.headers.origin, request.headers.host)) {
    return sendStatus(response, new AgentError('forbidden', 'the form is another site’s'))
  }
  response.writeHead(303, { location: 'dashboard', 'set-cookie': clearSessionCookie(cookie) })
  response.end()
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxFormBytes) throw new AgentError('bad-request', 'the form is too large')
    chunks.push(chunk)
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'))
}
