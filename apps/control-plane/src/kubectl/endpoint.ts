import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import { AgentError, type ConsoleOpen, type KubeOpen } from '@agent/contracts'
import type { Session } from '@agent/streams'

import type { Clusters } from '../clusters.ts'
import { endSocket } from '../end-socket.ts'
import { sendStatus } from '../kube-status.ts'
import type { ControlPlaneMetrics } from '../metrics.ts'
import type { Access, Users } from '../ports.ts'
import type { StreamConnections } from '../stream-connections.ts'
import { mayUse } from '../users/users.ts'
import { type Absence, absenceError, isBrief } from './absence.ts'
import { bearerProtocolOf, withoutCookie, withoutIdentity } from './client-headers.ts'
import { consoleAnswerHeaders } from './console-answer.ts'
import { type ClusterPath, parseClusterPath } from './path.ts'
import { type ClientRequest, hasBody, relay } from './relay.ts'
import {
  addsSlash,
  cookieAuthorization,
  sendLoginPage,
  sessionCookie,
  takeLogin,
  takeLogout,
  wantsPage,
} from './web-session.ts'

const expirySweepMs = 2_000
const drainCheckMs = 50
/** A request that may be sent twice (RFC 9110 §9.2.2) survives this many lost connections. */
const maxTries = 3

export type KubectlDeps = {
  users: Users
  clusters: Clusters
  connections: StreamConnections
  metrics: ControlPlaneMetrics
  /** How long a request waits for an agent that is briefly away. */
  waitMs: number
  /** How long a client may take nothing of a complete answer before it counts as gone. */
  unreadMs?: number
}

/** The `server:` of users' kubeconfigs. */
export type KubectlEndpoint = Disposable & {
  /** Serves the request if its URL is one of ours; false otherwise. */
  handle(request: IncomingMessage, response: ServerResponse): boolean
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean
  /** Requests under way, until the client has read the answer. */
  readonly active: number
  /** Settles when no request is under way, or at the deadline. */
  drained(deadlineMs: number): Promise<void>
}

type Active = { access: Access; end(error: AgentError): void }

/** Authenticates users and carries their requests to their cluster. */
export function createKubectlEndpoint(deps: KubectlDeps): KubectlEndpoint {
  const { users, clusters, connections, metrics, unreadMs = 30_000 } = deps
  const active = new Set<Active>()
  let lastId = 0

  function serve(client: ClientRequest, path: ClusterPath | AgentError): void {
    const { request, response } = client
    const access = path instanceof AgentError ? path : authorize(request, path)
    if (access instanceof AgentError || path instanceof AgentError) {
      const error = access as AgentError
      metrics.request(error)
      const isPage = !(path instanceof AgentError) && path.kind === 'console' && wantsPage(request)
      if (isPage && error.status === 401) return sendLoginPage(response)
      return sendStatus(response, error)
    }
    const { clusterId, ...who } = access
    const isConsole = path.kind === 'console'
    const headers = withoutIdentity(request.rawHeaders)
    const open: KubeOpen | ConsoleOpen = {
      kind: path.kind,
      id: `${process.pid.toString(36)}-${(++lastId).toString(36)}`,
      method: request.method ?? 'GET',
      target: path.target,
      headers: isConsole ? withoutCookie(headers) : headers,
      user: who.user,
    }
    const { host } = request.headers
    const answerHeaders = (given: string[]): string[] =>
      consoleAnswerHeaders(given, { host, prefix: path.prefix })
    carry(isConsole ? { ...client, answerHeaders } : client, open, clusterId, who)
  }

  function authorize(
    request: IncomingMessage,
    { cluster: name, kind, prefix }: ClusterPath,
  ): (Access & { clusterId: string }) | AgentError {
    const header =
      request.headers.authorization ??
      bearerProtocolOf(request.headers['sec-websocket-protocol']) ??
      // Never for the API server: a page of the console's must not be able to act there.
      (kind === 'console' ? cookieAuthorization(request, sessionCookie(prefix)) : undefined)
    return authorizeHeader(header, name)
  }

  function authorizeHeader(
    header: string | undefined,
    name: string,
  ): (Access & { clusterId: string }) | AgentError {
    const access = users.authenticate(header)
    if (access instanceof AgentError) return access
    const cluster = clusters.find(name)
    // The same answer for "none" and "not yours": names of other people's clusters stay theirs.
    if (cluster === undefined || !mayUse(access, cluster.name)) {
      return new AgentError(
        'cluster-unknown',
        `there is no cluster ${name} that ${access.user.name} may use`,
      )
    }
    return { ...access, clusterId: cluster.id }
  }

  /** What the control plane itself answers below a console's path. */
  function signsIn(
    { request, response }: ClientRequest,
    { cluster, kind, prefix, target }: ClusterPath,
  ): boolean {
    if (kind !== 'console') return false
    if (request.method !== 'POST') return addsSlash(request, response, prefix)
    const cookie = sessionCookie(prefix)
    if (target === '/logout') {
      takeLogout(request, response, cookie)
      return true
    }
    if (target !== '/login') return false
    const check = (header: string): AgentError | undefined => {
      const access = authorizeHeader(header, cluster)
      return access instanceof AgentError ? access : undefined
    }
    takeLogin(request, response, { cookie, check }).catch((cause: unknown) => {
      if (!response.headersSent) sendStatus(response, AgentError.from(cause, 'client'))
    })
    return true
  }

  function carry(
    client: ClientRequest,
    open: KubeOpen | ConsoleOpen,
    clusterId: string,
    access: Access,
  ): void {
    const { request, response } = client
    const gone = new AbortController()
    const deadline = performance.now() + deps.waitMs
    const mayRepeat =
      !hasBody(request) && client.raw === undefined && /^(GET|HEAD|OPTIONS)$/.test(open.method)
    let tries = 0
    // Until there is a stream, an end is told to whoever waits for one.
    const endWait = (error: AgentError): void => gone.abort(error)
    let endStream = endWait
    const entry: Active = { access, end: (error) => endStream(error) }
    active.add(entry)
    response.once('close', onClientGone)
    request.on('error', () => {})
    client.raw?.socket.on('error', () => {})

    function onClientGone(): void {
      // Who has the whole answer waits for nothing, and an error costs a stack trace.
      if (response.writableFinished) return
      gone.abort(new AgentError('cancelled', 'the client closed its connection'))
    }
    function over(error: AgentError | undefined): void {
      response.off('close', onClientGone)
      if (active.delete(entry)) metrics.request(error)
    }
    function fail(error: AgentError): void {
      if (!response.destroyed) sendStatus(response, error)
      over(error)
    }
    function begin(): void {
      attempt().catch((cause: unknown) => fail(AgentError.from(cause, 'control-plane')))
    }
    async function attempt(): Promise<void> {
      tries++
      endStream = endWait
      const session = connections.pick(clusterId) ?? (await waitForOne())
      const stream = relay(session, open, client, {
        onLost(error) {
          const isFault = error.code === 'connection-lost' || error.code === 'draining'
          if (!isFault || !mayRepeat || tries >= maxTries || gone.signal.aborted) return false
          begin()
          return true
        },
        onAnswered() {
          // No window counts what waits in the response now, so it must not wait for ever.
          response.setTimeout(unreadMs)
          // Before Node's own listener, which sets the keep-alive timeout.
          response.prependOnceListener('finish', () => response.setTimeout(0))
        },
        onOver: over,
      })
      endStream = (error) => {
        stream.reset(error)
        stream.handler.onReset(error)
      }
    }
    async function waitForOne(): Promise<Session> {
      const waitMs = isBrief(absenceOf(clusterId)) ? deadline - performance.now() : 0
      const session = await connections.waitForOne(clusterId, waitMs, gone.signal)
      gone.signal.throwIfAborted()
      if (session === undefined) throw absenceError(absenceOf(clusterId))
      return session
    }
    begin()
  }

  function absenceOf(clusterId: string): Absence {
    return {
      presence: clusters.presence(clusterId),
      missingMs: connections.missingMs(clusterId),
    }
  }

  function endAll(which: (access: Access) => boolean, error: (access: Access) => AgentError): void {
    for (const { access, end } of active) if (which(access)) end(error(access))
  }
  const revocations = users.onRevoked((tokenHash) => {
    endAll(
      (access) => access.tokenHash === tokenHash,
      ({ tokenId }) => new AgentError('unauthenticated', `the token ${tokenId} was revoked`),
    )
  })
  const sweep = setInterval(() => {
    const now = Date.now()
    endAll(
      ({ expiresAtMs }) => expiresAtMs !== undefined && expiresAtMs <= now,
      ({ tokenId }) => new AgentError('token-expired', `the token ${tokenId} expired`),
    )
  }, expirySweepMs)

  return {
    get active() {
      return active.size
    },
    handle(request, response) {
      const path = parseClusterPath(request.url ?? '')
      if (path === undefined) return false
      if (!(path instanceof AgentError) && signsIn({ request, response }, path)) return true
      serve({ request, response }, path)
      return true
    },
    handleUpgrade(request, socket, head) {
      const path = parseClusterPath(request.url ?? '')
      if (path === undefined) return false
      const response = new ServerResponse(request)
      response.assignSocket(socket as never)
      response.shouldKeepAlive = false
      response.once('finish', () => endSocket(socket))
      serve({ request, response, raw: { socket, head } }, path)
      return true
    },
    async drained(deadlineMs) {
      const deadline = performance.now() + deadlineMs
      while (active.size > 0 && performance.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, drainCheckMs))
      }
    },
    [Symbol.dispose]() {
      revocations[Symbol.dispose]()
      clearInterval(sweep)
    },
  }
}
