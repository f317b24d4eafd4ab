import { setTimeout as delay } from 'node:timers/promises'

import { AgentError } from '@agent/contracts'
import {
  connect,
  type ConnectionOptions,
  type Msg,
  type NatsConnection,
  type Subscription as NatsSubscription,
  tokenAuthenticator,
} from '@nats-io/transport-node'
import type { Logger } from 'pino'
import type * as z from 'zod'

import { type Bus, maxServeMs, type Subscription } from './bus.ts'
import { nobodyServes } from './memory.ts'
import { decodeMessage, encodeMessage } from './message.ts'
import { failure, Reply, unwrap } from './reply.ts'
import { Unconfirmed } from './unconfirmed.ts'

export type NatsBusOptions = {
  url: string
  /** Asked at every login, so that a rotated token is used at once; it must not block for long. */
  token: string | (() => string | undefined) | undefined
  /** Names this client on the server. */
  name: string
  log: Pick<Logger, 'info' | 'warn'>
  /** The connection ended for good without being disposed of: only a new process can help. */
  onClosed?: (error: AgentError) => void
  /** Ends the wait for a server that is not there yet. */
  signal?: AbortSignal
  /** Between 0 and 1; spreads reconnects. */
  random?: () => number
}

/**
 * Connects to the pod's nats-server and stays connected: an outage or a refused login is waited out, for ever.
 * Rejects with `cancelled` when the signal ends first.
 */
export async function connectNatsBus(options: NatsBusOptions): Promise<Bus> {
  const { url, token, name, log, signal, random = Math.random } = options
  const delayMs = (): number => 250 + random() * 750
  const settings: ConnectionOptions = {
    servers: url,
    name,
    ...(token === undefined ? {} : { authenticator: authenticate(token) }),
    maxReconnectAttempts: -1,
    // nats.js gives up after two refused logins; the token may be right again a moment later.
    ignoreAuthErrorAbort: true,
    reconnectDelayHandler: delayMs,
    pingInterval: 5_000,
    maxPingOut: 2,
    timeout: 5_000,
  }
  let lastReason = ''
  for (;;) {
    if (signal?.aborted) throw new AgentError('cancelled', 'waiting for the bus was cancelled')
    try {
      const bus = new NatsBus(await connect(settings))
      void bus.watch(log, options.onClosed)
      return bus
    } catch (error) {
      const reason = reasonOf(error)
      if (reason !== lastReason) log.warn({ reason }, 'bus not there yet')
      lastReason = reason
      await delay(delayMs(), undefined, { ...(signal && { signal }) }).catch(() => {})
    }
  }
}

/** A failing source must not end the connection: the token that worked before is tried again. */
function authenticate(token: string | (() => string | undefined)) {
  let latest = ''
  return tokenAuthenticator(() => {
    try {
      latest = (typeof token === 'string' ? token : token()) ?? latest
    } catch {
      // Mounted secrets vanish for a moment while they rotate.
    }
    return latest
  })
}

/** Class and text of a client error; it names addresses and rules, never the token. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

class NatsBus implements Bus {
  connected = true
  subscriptions = 0
  refusedMessages = 0
  readonly #connection: NatsConnection
  readonly #unconfirmed: Unconfirmed
  readonly #closing = new AbortController()

  constructor(connection: NatsConnection) {
    this.#connection = connection
    this.#unconfirmed = new Unconfirmed(() => connection.flush())
  }

  async watch(log: NatsBusOptions['log'], onClosed: NatsBusOptions['onClosed']): Promise<void> {
    let lastRefusal = ''
    for await (const status of this.#connection.status()) {
      if (status.type === 'disconnect') {
        // The client tells every attempt; an outage is two lines.
        if (this.connected) log.warn('bus lost')
        this.connected = false
      } else if (status.type === 'reconnect') {
        if (!this.connected) log.info('bus back')
        this.connected = true
        lastRefusal = ''
      } else if (status.type === 'error' && !this.connected) {
        const reason = reasonOf(status.error)
        if (reason !== lastRefusal) log.warn({ reason }, 'bus refuses the login')
        lastRefusal = reason
      }
    }
    const cause = await this.#connection.closed()
    this.connected = false
    if (this.#closing.signal.aborted) return
    onClosed?.(
      new AgentError('unavailable', 'the bus connection ended for good', { hop: 'link', cause }),
    )
  }

  serve<I extends z.ZodType, O extends z.ZodType>(
    { subject, input, output }: { subject: string; input: I; output: O },
    handler: (input: z.output<I>, signal: AbortSignal) => Promise<z.input<O>>,
  ): Subscription {
    const answer = async (message: Msg): Promise<void> => {
      const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(maxServeMs)])
      let reply: Uint8Array
      try {
        const parsed = input.safeParse(decodeMessage(message.data))
        if (!parsed.success) throw new AgentError('bad-request', `${subject}: malformed request`)
        const answered = output.parse(await handler(parsed.data, signal))
        reply = encodeMessage({ ok: true, output: answered } satisfies Reply)
      } catch (error) {
        if (error instanceof AgentError && error.code === 'bad-request') this.refusedMessages++
        reply = encodeMessage(failure(error))
      }
      this.#send(reply, () => message.respond(reply))
    }
    return this.#counted(
      this.#connection.subscribe(subject, {
        queue: subject,
        callback: (error, message) => {
          if (error === null) void answer(message)
        },
      }),
    )
  }

  async request<I extends z.ZodType, O extends z.ZodType>(
    { subject, input, output }: { subject: string; input: I; output: O },
    question: z.input<I>,
    { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<z.output<O>> {
    const body = encodeMessage(input.parse(question))
    if (!this.connected || !this.#unconfirmed.admit(body.length)) {
      throw new AgentError('unavailable', `the bus cannot carry ${subject} now`, { hop: 'link' })
    }
    const cancelled = Promise.withResolvers<never>()
    const onAbort = (): void =>
      cancelled.reject(new AgentError('cancelled', `${subject} was cancelled`))
    if (signal?.aborted) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      const asking = this.#connection.request(subject, body, { timeout: timeoutMs })
      // Whoever loses the race must not become an unhandled rejection.
      asking.catch(() => {})
      cancelled.promise.catch(() => {})
      const message = await Promise.race([asking, cancelled.promise])
      const reply = Reply.safeParse(decodeMessage(message.data))
      if (!reply.success)
        throw new AgentError('protocol', `${subject}: malformed reply`, { hop: 'link' })
      return unwrap(reply.data, output)
    } catch (error) {
      throw requestError(error, subject, timeoutMs)
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  publish<P extends z.ZodType>(
    { subject, payload }: { subject: string; payload: P },
    value: z.input<P>,
  ): void {
    // Events are told, not kept: while the server is away nobody listens.
    if (!this.connected) return
    try {
      const body = encodeMessage(payload.parse(value))
      this.#send(body, () => this.#connection.publish(subject, body))
    } catch {
      this.refusedMessages++
    }
  }

  /** Sends what nobody waits for; what the connection cannot take is counted and dropped. */
  #send(body: Uint8Array, send: () => void): void {
    if (this.#connection.isClosed()) return
    try {
      if (this.#unconfirmed.admit(body.length)) return send()
    } catch {
      // Closed meanwhile, or over the server's own limit.
    }
    this.refusedMessages++
  }

  subscribe<P extends z.ZodType>(
    { subject, payload }: { subject: string; payload: P },
    handler: (payload: z.output<P>) => void,
  ): Subscription {
    return this.#counted(
      this.#connection.subscribe(subject, {
        callback: (error, message) => {
          if (error !== null) return
          try {
            handler(payload.parse(decodeMessage(message.data)))
          } catch {
            // Thrown from here it would end the client's reading for good.
            this.refusedMessages++
          }
        },
      }),
    )
  }

  #counted(subscription: NatsSubscription): Subscription {
    this.subscriptions++
    let isOpen = true
    return {
      [Symbol.asyncDispose]: async () => {
        if (isOpen) this.subscriptions--
        isOpen = false
        if (!subscription.isClosed()) subscription.unsubscribe()
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.connected = false
    // A drain waits for the server, which may be gone.
    await Promise.race([
      this.#connection.drain().catch(() => {}),
      new Promise((resolve) => void setTimeout(resolve, 2_000).unref()),
    ])
    await this.#connection.close()
  }
}

function requestError(error: unknown, subject: string, timeoutMs: number): AgentError {
  if (error instanceof AgentError) return error
  const name = error instanceof Error ? error.name : ''
  if (
    name === 'NoRespondersError' ||
    (error instanceof Error && error.message.includes('no responders'))
  ) {
    return nobodyServes(subject)
  }
  if (name === 'TimeoutError') {
    return new AgentError('timeout', `${subject} took longer than ${timeoutMs} ms`, { hop: 'link' })
  }
  return new AgentError('unavailable', `the bus did not carry ${subject}`, {
    cause: error,
    hop: 'link',
  })
}
