import { AgentError } from '@agent/contracts'
import {
  connect,
  type Msg,
  type NatsConnection,
  type Subscription as NatsSubscription,
} from '@nats-io/transport-node'
import type { Logger } from 'pino'
import type * as z from 'zod'

import { type Bus, maxServeMs, type Subscription } from './bus.ts'
import { nobodyServes } from './memory.ts'
import { failure, Reply, unwrap } from './reply.ts'

const maxMessageBytes = 262_144
const decoder = new TextDecoder()

export type NatsBusOptions = {
  url: string
  token: string | undefined
  /** Names this client on the server. */
  name: string
  log: Pick<Logger, 'info' | 'warn'>
  /** Between 0 and 1; spreads reconnects. */
  random?: () => number
}

/** Connects to the pod's nats-server and stays connected: an outage is waited out, for ever. */
export async function connectNatsBus(options: NatsBusOptions): Promise<Bus> {
  const { url, token, name, log, random = Math.random } = options
  const connection = await connect({
    servers: url,
    name,
    ...(token === undefined ? {} : { token }),
    maxReconnectAttempts: -1,
    waitOnFirstConnect: true,
    reconnectDelayHandler: () => 250 + random() * 750,
    pingInterval: 5_000,
    maxPingOut: 2,
    timeout: 5_000,
  })
  const bus = new NatsBus(connection)
  void bus.watch(log)
  return bus
}

class NatsBus implements Bus {
  connected = true
  subscriptions = 0
  refusedMessages = 0
  readonly #connection: NatsConnection
  readonly #closing = new AbortController()

  constructor(connection: NatsConnection) {
    this.#connection = connection
  }

  async watch(log: NatsBusOptions['log']): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type === 'disconnect') {
        this.connected = false
        log.warn('bus lost')
      } else if (type === 'reconnect') {
        this.connected = true
        log.info('bus back')
      }
    }
  }

  serve<I extends z.ZodType, O extends z.ZodType>(
    { subject, input, output }: { subject: string; input: I; output: O },
    handler: (input: z.output<I>, signal: AbortSignal) => Promise<z.input<O>>,
  ): Subscription {
    const answer = async (message: Msg): Promise<void> => {
      const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(maxServeMs)])
      let reply: Reply
      try {
        const parsed = input.safeParse(parseJson(message.data))
        if (!parsed.success) throw new AgentError('bad-request', `${subject}: malformed request`)
        reply = { ok: true, output: output.parse(await handler(parsed.data, signal)) }
      } catch (error) {
        if (error instanceof AgentError && error.code === 'bad-request') this.refusedMessages++
        reply = failure(error)
      }
      if (!this.#connection.isClosed()) message.respond(encode(reply))
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
    const body = encode(input.parse(question))
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
      const reply = Reply.safeParse(parseJson(message.data))
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
    if (this.connected && !this.#connection.isClosed()) {
      this.#connection.publish(subject, encode(payload.parse(value)))
    }
  }

  subscribe<P extends z.ZodType>(
    { subject, payload }: { subject: string; payload: P },
    handler: (payload: z.output<P>) => void,
  ): Subscription {
    return this.#counted(
      this.#connection.subscribe(subject, {
        callback: (error, message) => {
          if (error !== null) return
          const parsed = payload.safeParse(parseJson(message.data))
          if (parsed.success) handler(parsed.data)
          else this.refusedMessages++
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

function encode(value: unknown): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(value))
  if (bytes.length > maxMessageBytes) {
    throw new AgentError(
      'bad-request',
      `a bus message has ${bytes.length} bytes, ${maxMessageBytes} are allowed`,
    )
  }
  return bytes
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes))
  } catch {
    return undefined
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
