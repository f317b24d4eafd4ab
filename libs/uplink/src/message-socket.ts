import { AgentError, closeCodes } from '@agent/contracts'
import type { WebSocket } from 'ws'
import type * as z from 'zod'

const checkMs = 1_000
const pingMs = 3_000
/** Found at the next check, so a dead peer is known in ten seconds at most. */
const deadAfterMs = 9_000
const closeGraceMs = 2_000
/** Control messages are small; a peer that does not read them is gone for all purposes. */
const maxQueuedBytes = 1_048_576
const maxMalformed = 64

/** JSON text messages over a WebSocket, both ends' side of the control connection. */
export type MessageSocket<In, Out> = {
  send(message: Out): void
  /** Ends the connection; the peer reads code and reason. */
  close(error: AgentError, code?: number): void
  readonly isOpen: boolean
  /** Settles, never rejects, with why it ended. */
  closed: Promise<AgentError>
  /** Messages that did not parse, by type; the peer may be newer than we are. */
  readonly unknownMessages: ReadonlyMap<string, number>
  /** Set before the first message arrives. */
  onMessage: (message: In) => void
}

/** Wraps an open WebSocket; a peer that stays silent for nine seconds despite pings counts as dead. */
export function createMessageSocket<S extends z.ZodType, Out>(
  socket: WebSocket,
  schema: S,
): MessageSocket<z.output<S>, Out> {
  const { promise: closed, resolve } = Promise.withResolvers<AgentError>()
  const unknownMessages = new Map<string, number>()
  let malformed = 0
  let reason: AgentError | undefined
  let heardAt = performance.now()
  let pingedAt = heardAt
  const heard = (): void => void (heardAt = performance.now())

  const self: MessageSocket<z.output<S>, Out> = {
    onMessage() {},
    closed,
    unknownMessages,
    get isOpen() {
      return reason === undefined && socket.readyState === socket.OPEN
    },
    send(message) {
      if (!self.isOpen) return
      if (socket.bufferedAmount > maxQueuedBytes) {
        return self.close(new AgentError('connection-lost', 'the peer reads no control messages'))
      }
      socket.send(JSON.stringify(message))
    },
    close(error, code = closeCodes.goingAway) {
      if (reason !== undefined) return
      reason = error
      clearInterval(ticker)
      socket.close(code, Buffer.from(error.message).subarray(0, 120))
      const timer = setTimeout(() => socket.terminate(), closeGraceMs)
      socket.once('close', () => clearTimeout(timer))
    },
  }

  const ticker = setInterval(() => {
    const nowMs = performance.now()
    if (nowMs - heardAt < deadAfterMs) {
      if (nowMs - pingedAt < pingMs) return
      pingedAt = nowMs
      return socket.ping()
    }
    reason ??= new AgentError('connection-lost', 'the peer stopped answering')
    socket.terminate()
  }, checkMs)

  socket.on('ping', heard)
  socket.on('pong', heard)
  socket.on('error', (cause) => {
    reason ??= new AgentError('connection-lost', 'the connection failed', { cause })
  })
  socket.on('close', (code, text) => {
    clearInterval(ticker)
    resolve(reason ?? closeError(code, text.toString()))
  })
  socket.on('message', (data) => {
    heard()
    if (reason !== undefined) return
    const value = parseJson((data as Buffer).toString('utf8'))
    const parsed = schema.safeParse(value)
    if (parsed.success) return self.onMessage(parsed.data)
    const { type: said } = (value ?? {}) as { type?: unknown }
    const type = typeof said === 'string' ? said.slice(0, 64) : 'not JSON'
    if (unknownMessages.size < maxMalformed || unknownMessages.has(type)) {
      unknownMessages.set(type, (unknownMessages.get(type) ?? 0) + 1)
    }
    if (++malformed < maxMalformed) return
    self.close(new AgentError('protocol', 'too many malformed messages'), closeCodes.protocol)
  })
  return self
}

function closeError(code: number, text: string): AgentError {
  if (code === closeCodes.credentialsRefused) {
    return new AgentError('credentials-refused', text || 'the control plane revoked the credential')
  }
  return new AgentError('connection-lost', `the peer closed the connection (${code} ${text})`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
