import { randomUUID } from 'node:crypto'

import {
  AgentError,
  type AgentMessage,
  ControlPlaneMessage,
  type HeartbeatPayload,
  parseErrorCode,
  type RegisterPayload,
  type RegisterSuccessPayload,
  type Ticket,
  type TicketKind,
} from '@agent/contracts'
import { pause } from '@agent/sidecar'
import { createMessageSocket } from '@agent/uplink'
import type { WebSocket } from 'ws'

const answerMs = 10_000
const registerMs = 30_000
const beatLimitsSeconds = { least: 5, most: 30 }

type Answer = Extract<
  ControlPlaneMessage,
  { type: 'register_success' | 'heartbeat_ack' | 'ticket' }
>

export type SessionEvents = {
  /** Registered: from now on tickets can be had. */
  onRegistered(answer: RegisterSuccessPayload): Promise<void>
  /** A beat was acknowledged, or was not. */
  onBeat(error: AgentError | undefined, durationMs: number): void
  /** A message type this release does not know. */
  onUnknown(type: string): void
}

/** One life of the control connection. */
export type LinkSession = {
  requestTicket(
    kind: TicketKind,
    signal: AbortSignal,
  ): Promise<Omit<Ticket, 'clusterId' | 'windows'>>
  /** Tells the control plane that we go, and closes. */
  leave(reason: string): void
  /** Settles with why the connection ended; `retryAfterMs` says how long to stay away. */
  ended: Promise<AgentError>
}

export type LinkSessionOptions = {
  register(): RegisterPayload
  heartbeat(): HeartbeatPayload
  intervalSeconds: number
  signal: AbortSignal
  events: SessionEvents
}

/** Registers on an open socket, then beats and answers until it ends. */
export function runLinkSession(ws: WebSocket, options: LinkSessionOptions): LinkSession {
  const { events } = options
  const socket = createMessageSocket<typeof ControlPlaneMessage, AgentMessage>(
    ws,
    ControlPlaneMessage,
  )
  const over = new AbortController()
  const waiting = new Map<string, PromiseWithResolvers<Answer>>()
  const signal = AbortSignal.any([options.signal, over.signal])
  let intervalSeconds = options.intervalSeconds
  let streams: RegisterSuccessPayload['streams']
  let endReason: AgentError | undefined

  function ask(message: AgentMessage, timeoutMs: number): Promise<Answer> {
    const id = randomUUID()
    const answer = Promise.withResolvers<Answer>()
    answer.promise.catch(() => {})
    waiting.set(id, answer)
    const timer = setTimeout(() => {
      answer.reject(
        new AgentError('timeout', `no answer to ${message.type} in ${timeoutMs} ms`, {
          hop: 'control-plane',
        }),
      )
    }, timeoutMs)
    socket.send({ ...message, request_id: id, timestamp: new Date().toISOString() })
    return answer.promise.finally(() => {
      clearTimeout(timer)
      waiting.delete(id)
    })
  }

  socket.onMessage = (message) => {
    switch (message.type) {
      case 'register_success':
      case 'heartbeat_ack':
      case 'ticket':
        return waiting.get(message.request_id ?? '')?.resolve(message)
      case 'ping':
        return socket.send({
          type: 'pong',
          ...(message.request_id === undefined ? {} : { request_id: message.request_id }),
          payload: {},
        })
      case 'reconnect': {
        const { reason, retry_after_ms: retryAfterMs } = message.payload
        endReason = new AgentError('draining', reason, { hop: 'control-plane', retryAfterMs })
        return
      }
      case 'error': {
        const { code, error } = message.payload
        const failure = new AgentError(parseErrorCode(code), error, { hop: 'control-plane' })
        const asked = waiting.get(message.request_id ?? '')
        if (asked !== undefined) return asked.reject(failure)
        if (/not registered|cluster not found/i.test(error)) return socket.close(failure)
        return
      }
      case 'register_in_progress':
    }
  }

  async function live(): Promise<void> {
    const answer = await ask({ type: 'register', payload: options.register() }, registerMs)
    if (answer.type !== 'register_success')
      throw new AgentError('protocol', 'registration was answered oddly')
    streams = answer.payload.streams
    setInterval_(answer.payload.heartbeat_interval_seconds)
    await events.onRegistered(answer.payload)
    while (!signal.aborted) {
      await beat()
      await pause(intervalSeconds * 1_000 * (0.9 + Math.random() * 0.2), signal)
    }
  }

  async function beat(): Promise<void> {
    const startedAt = performance.now()
    const took = (): number => performance.now() - startedAt
    try {
      const answer = await ask({ type: 'heartbeat', payload: options.heartbeat() }, answerMs)
      if (answer.type === 'heartbeat_ack') setInterval_(answer.payload?.heartbeat_interval_seconds)
      events.onBeat(undefined, took())
    } catch (cause) {
      if (!signal.aborted) events.onBeat(AgentError.from(cause, 'control-plane'), took())
    }
  }

  function setInterval_(seconds: number | undefined): void {
    if (seconds === undefined) return
    intervalSeconds = Math.min(Math.max(seconds, beatLimitsSeconds.least), beatLimitsSeconds.most)
  }

  const ended = socket.closed.then((reason) => {
    over.abort()
    const error = endReason ?? reason
    for (const { reject } of waiting.values()) reject(error)
    for (const type of socket.unknownMessages.keys()) events.onUnknown(type)
    return error
  })
  live().catch((cause: unknown) => {
    const error = AgentError.from(cause, 'control-plane')
    endReason ??= error
    socket.close(error)
  })

  return {
    async requestTicket(kind, ticketSignal) {
      if (streams === undefined)
        throw new AgentError('unavailable', 'not registered for streams yet', { hop: 'link' })
      const answer = await Promise.race([
        ask({ type: 'ticket_request', payload: { kind } }, answerMs),
        aborted(ticketSignal),
      ])
      if (answer.type !== 'ticket')
        throw new AgentError('protocol', 'a ticket request was answered oddly')
      const { url, ticket, expires_at: expiresAt } = answer.payload
      return { url, ticket, expiresAt }
    },
    leave(reason) {
      socket.send({ type: 'deregister', payload: { reason } })
      socket.close(new AgentError('cancelled', reason))
    },
    ended,
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (): void =>
      reject(new AgentError('cancelled', 'nobody waits for the ticket any more'))
    if (signal.aborted) fail()
    signal.addEventListener('abort', fail, { once: true })
  })
}
