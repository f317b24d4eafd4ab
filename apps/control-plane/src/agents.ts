import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import {
  AgentError,
  AgentMessage,
  closeCodes,
  type ControlPlaneMessage,
  defaultWindows,
  maxControlMessageBytes,
  paths,
} from '@agent/contracts'
import { createMessageSocket, type MessageSocket } from '@agent/uplink'
import type { Logger } from 'pino'
import { WebSocketServer } from 'ws'

import type { ClusterPresence, Clusters } from './clusters.ts'
import type { AgentTokenRecord, ClusterRecord } from './store/records.ts'
import type { Bucket } from './store/store.ts'
import type { Tickets } from './tickets.ts'
import { bearerOf, hashSecret } from './users/secrets.ts'

const registerDeadlineMs = 10_000

/** One control connection; `presence` is kept because the cluster may be removed before its agent is gone. */
type Agent = { token: AgentTokenRecord; cluster?: ClusterRecord; presence?: ClusterPresence }

type AgentSocket = MessageSocket<AgentMessage, ControlPlaneMessage>

export type AgentsOptions = {
  clusters: Clusters
  tokens: Bucket<AgentTokenRecord>
  tickets: Tickets
  /** `https://host:port` as agents reach us. */
  publicUrl: string
  heartbeatSeconds: number
  log: Logger
}

/** The agents' control connections. */
export type Agents = {
  /** The token of a request; undefined when it is not valid. */
  authenticate(request: IncomingMessage): AgentTokenRecord | undefined
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, token: AgentTokenRecord): void
  readonly connections: number
  /** Asks every agent to come back later, then closes. */
  drain(reason: string, retryAfterMs: number): void
  /** Cuts the agents that came with this token: it is no longer valid. */
  revoke(tokenId: string): void
  /** Cuts the agents of a cluster that was removed. */
  removeCluster(clusterId: string): void
}

/** Serves control connections: registration, heartbeats, tickets. */
export function createAgents(options: AgentsOptions): Agents {
  const { clusters, tokens, tickets, log } = options
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: maxControlMessageBytes,
    perMessageDeflate: false,
  })
  const live = new Map<AgentSocket, Agent>()

  async function handle(socket: AgentSocket, message: AgentMessage): Promise<void> {
    const state = live.get(socket)
    if (state === undefined) return
    const answer = {
      ...(message.request_id === undefined ? {} : { request_id: message.request_id }),
    }
    const timestamp = new Date().toISOString()
    switch (message.type) {
      case 'register': {
        const { name } = message.payload
        if (state.cluster !== undefined && state.cluster.name !== name) {
          throw new AgentError('bad-request', `this connection is ${state.cluster.name}’s`)
        }
        const cluster = await clusters.register(message.payload, state.token)
        if (!socket.isOpen) return
        const presence = state.presence ?? clusters.presence(cluster.id)
        if (state.presence === undefined) presence.agents++
        state.cluster = cluster
        state.presence = presence
        presence.connectedSince ??= timestamp
        const sentAt = Date.parse(message.timestamp ?? '')
        presence.clockSkewMs = Number.isNaN(sentAt) ? undefined : sentAt - Date.now()
        log.info({ cluster: cluster.name, agent: message.payload.agent_id }, 'agent registered')
        const url = options.publicUrl.replace(/^http/, 'ws') + paths.streamSocket
        const speaksStreams = message.payload.features?.streams === 2
        return socket.send({
          type: 'register_success',
          ...answer,
          timestamp,
          payload: {
            cluster_id: cluster.id,
            cluster_uuid: cluster.id,
            name: cluster.name,
            status: 'active',
            heartbeat_interval_seconds: options.heartbeatSeconds,
            ...(speaksStreams ? { streams: { version: 2, url, windows: defaultWindows } } : {}),
          },
        })
      }
      case 'heartbeat': {
        if (state.presence === undefined) return refuse(socket, answer, 'not registered')
        state.presence.lastHeartbeat = { at: timestamp, content: message.payload }
        const payload = { heartbeat_interval_seconds: options.heartbeatSeconds }
        return socket.send({ type: 'heartbeat_ack', ...answer, timestamp, payload })
      }
      case 'ticket_request': {
        if (state.cluster === undefined) return refuse(socket, answer, 'not registered')
        const { ticket, expiresAt } = await tickets.issue(message.payload.kind, {
          clusterId: state.cluster.id,
          agentTokenId: state.token.id,
          instance: '',
        })
        const url = options.publicUrl.replace(/^http/, 'ws') + paths.streamSocket
        return socket.send({
          type: 'ticket',
          ...answer,
          timestamp,
          payload: { url, ticket, expires_at: expiresAt },
        })
      }
      case 'deregister':
        return socket.close(new AgentError('connection-lost', 'the agent deregistered'))
      case 'pong':
    }
  }

  function gone(socket: AgentSocket, reason: AgentError): void {
    const { cluster, presence } = live.get(socket) ?? {}
    live.delete(socket)
    if (cluster === undefined || presence === undefined) return
    presence.agents--
    if (presence.agents === 0) presence.connectedSince = undefined
    log.info({ cluster: cluster.name, code: reason.code, reason: reason.message }, 'agent gone')
  }

  return {
    authenticate(request) {
      const secret = bearerOf(request.headers.authorization)
      return secret === undefined ? undefined : tokens.get(hashSecret(secret))
    },
    accept(request, raw, head, token) {
      server.handleUpgrade(request, raw, head, (ws) => {
        const socket: AgentSocket = createMessageSocket(ws, AgentMessage)
        live.set(socket, { token })
        const timer = setTimeout(() => {
          if (live.get(socket)?.cluster !== undefined) return
          socket.close(new AgentError('timeout', 'no registration came'), closeCodes.protocol)
        }, registerDeadlineMs)
        socket.onMessage = (message) => {
          handle(socket, message).catch((cause: unknown) => {
            const error = AgentError.from(cause, 'control-plane')
            log.warn({ code: error.code, reason: error.message }, 'agent message refused')
            const isRefused = error.code === 'credentials-refused'
            if (isRefused) return socket.close(error, closeCodes.credentialsRefused)
            refuse(socket, { request_id: message.request_id }, error.message, error.code)
          })
        }
        void socket.closed.then((reason) => {
          clearTimeout(timer)
          gone(socket, reason)
        })
      })
    },
    get connections() {
      return live.size
    },
    drain(reason, retryAfterMs) {
      for (const socket of live.keys()) {
        socket.send({ type: 'reconnect', payload: { reason, retry_after_ms: retryAfterMs } })
        socket.close(new AgentError('draining', reason))
      }
    },
    revoke(tokenId) {
      const error = new AgentError('credentials-refused', `the agent token ${tokenId} was revoked`)
      for (const [socket, { token }] of live) {
        if (token.id === tokenId) socket.close(error, closeCodes.credentialsRefused)
      }
    },
    removeCluster(clusterId) {
      const error = new AgentError('credentials-refused', 'the cluster was removed')
      for (const [socket, { cluster }] of live) {
        if (cluster?.id === clusterId) socket.close(error, closeCodes.credentialsRefused)
      }
    },
  }
}

function refuse(
  socket: AgentSocket,
  answer: { request_id?: string | undefined },
  error: string,
  code?: string,
): void {
  socket.send({
    type: 'error',
    ...(answer.request_id === undefined ? {} : { request_id: answer.request_id }),
    timestamp: new Date().toISOString(),
    payload: { error, ...(code === undefined ? {} : { code }) },
  })
}
