import { randomBytes } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'

import { AgentError, type KubeOpen, type PodLogsQuery, type StreamUser } from '@agent/contracts'
import type { ApiServer } from '@agent/kube'

import { type AuditTrail, openAuditEntry } from './audit.ts'
import { type AllowedServices, authorize } from './authorize.ts'
import { callError } from './call-error.ts'
import { requestHeaders } from './headers.ts'

/** An address nobody fetched is forgotten. */
const unusedMs = 10_000
const maxWaiting = 256
const headersMs = 15_000

export type PodLogsOptions = {
  api: ApiServer
  allowedServices: AllowedServices
  impersonate: boolean
  audit: AuditTrail
}

/** Pods' logs for the console: the bus carries no bodies, so each is served once at a loopback address of its own. */
export type PodLogs = AsyncDisposable & {
  /** Checks the question and returns the address of the answer. */
  open(query: PodLogsQuery, user: StreamUser): string
}

type Waiting = { open: KubeOpen; isFollowed: boolean; timer: NodeJS.Timeout }

/** Serves pods' logs on a free loopback port. */
export async function servePodLogs(options: PodLogsOptions): Promise<PodLogs> {
  const waiting = new Map<string, Waiting>()
  const server = createServer((request, response) => {
    const key = (request.url ?? '').slice(1)
    const entry = waiting.get(key)
    waiting.delete(key)
    clearTimeout(entry?.timer)
    if (entry === undefined) return refuse(response, new AgentError('not-found', 'no such log'))
    void send(options, entry, response)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo

  return {
    open(query, user) {
      if (waiting.size >= maxWaiting) {
        throw new AgentError('too-many-streams', `${maxWaiting} logs wait to be fetched`, {
          hop: 'proxy',
        })
      }
      const key = randomBytes(24).toString('base64url')
      const open = logRequest(key.slice(0, 12), query, user)
      const decision = authorize(open, { services: options.allowedServices })
      if (!decision.allow) throw new AgentError(decision.code, decision.reason, { hop: 'policy' })
      const timer = setTimeout(() => waiting.delete(key), unusedMs)
      waiting.set(key, { open, isFollowed: query.follow, timer })
      return `http://127.0.0.1:${port}/${key}`
    },
    async [Symbol.asyncDispose]() {
      for (const { timer } of waiting.values()) clearTimeout(timer)
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function logRequest(id: string, query: PodLogsQuery, user: StreamUser): KubeOpen {
  const { namespace, pod, container, follow, sinceSeconds, tailLines } = query
  const search = new URLSearchParams({ follow: String(follow), timestamps: 'true' })
  if (container !== undefined) search.set('container', container)
  if (sinceSeconds !== undefined) search.set('sinceSeconds', String(sinceSeconds))
  if (tailLines !== undefined) search.set('tailLines', String(tailLines))
  const target = `/api/v1/namespaces/${namespace}/pods/${pod}/log?${search.toString()}`
  return { kind: 'kube', id: `log-${id}`, method: 'GET', target, headers: [], user }
}

async function send(
  options: PodLogsOptions,
  { open, isFollowed }: Waiting,
  response: ServerResponse,
): Promise<void> {
  const { api, impersonate } = options
  const audit = openAuditEntry(options.audit, open, {
    upgrade: undefined,
    decision: { allow: true },
  })
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  try {
    const answer = await api.dispatcher().request({
      origin: api.origin,
      path: api.basePath + open.target,
      method: 'GET',
      headers: requestHeaders(open.headers, {
        authorization: api.authorization(),
        impersonate: impersonate ? open.user : undefined,
      }),
      signal: gone.signal,
      // A log that is followed and silent has no head yet, and may have none for days.
      headersTimeout: isFollowed ? 0 : headersMs,
      bodyTimeout: 0,
    })
    audit.answered(answer.statusCode)
    response.writeHead(answer.statusCode, { 'content-type': 'text/plain; charset=utf-8' })
    response.flushHeaders()
    answer.body.on('data', (chunk: Buffer) => (audit.responseBytes += chunk.length))
    await pipeline(answer.body, response)
    audit.close()
  } catch (cause) {
    const error = gone.signal.aborted
      ? new AgentError('cancelled', 'the reader went away', { hop: 'client' })
      : callError(cause as Error, 'api-server')
    audit.close(error)
    refuse(response, error)
  }
}

function refuse(response: ServerResponse, error: AgentError): void {
  if (response.headersSent) return void response.destroy()
  response.writeHead(error.status, { 'content-type': 'text/plain; charset=utf-8' })
  response.end(error.message)
}
