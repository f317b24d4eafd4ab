import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import { AgentError, type StreamUser } from '@agent/contracts'
import { type WebSocket, WebSocketServer } from 'ws'
import * as z from 'zod'

import { keepAdmitted } from '../access/keep-admitted.ts'
import type { ConsoleDeps } from './deps.ts'
import { follow, within } from './follow.ts'

const maxMessageBytes = 4_096
/** A client that asks or pings faster than this many times in ten seconds is ended. */
const maxAsks = 100
/** Questions that may wait for their answers. */
const maxWaiting = 16
const asksWindowMs = 10_000

/** What a client may say on `/ws`. */
const Ask = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['status', 'get_status', 'get_metrics', 'ping']) }),
  z.object({
    type: z.literal('subscribe'),
    topics: z
      .array(z.enum(['events', 'status']))
      .min(1)
      .default(['events', 'status']),
    lastEventId: z.int().nonnegative().optional(),
  }),
])

/** The live connection at `/ws`: questions and subscriptions, answered as `{type, timestamp, data}`. */
export type LiveSocket = AsyncDisposable & {
  /** Takes the user's upgrade, or throws why not; `admit` is asked again now and then. */
  accept(
    request: IncomingMessage,
    socket: Duplex,
    options: { head: Buffer; user: StreamUser; admit: () => Promise<unknown> },
  ): void
}

/** Serves `/ws`. */
export function createLiveSocket(deps: ConsoleDeps): LiveSocket {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: maxMessageBytes,
    perMessageDeflate: false,
  })
  return {
    accept(request, socket, { head, user, admit }) {
      if (!deps.config.PIPEOPS_ENABLE_WEBSOCKET) {
        throw new AgentError('not-found', 'WebSocket is turned off (PIPEOPS_ENABLE_WEBSOCKET)')
      }
      // It left while the gate was asked: its close came before anybody could give the place back.
      if (socket.destroyed) return
      const place = deps.limits.webSocket.enter(user)
      socket.once('close', () => place[Symbol.dispose]())
      server.handleUpgrade(request, socket, head, (client) => serveClient(deps, client, admit))
    },
    async [Symbol.asyncDispose]() {
      for (const client of server.clients) client.close(1001, 'the console stops')
      for (const client of server.clients) client.terminate()
      server.close()
    },
  }
}

function serveClient(deps: ConsoleDeps, client: WebSocket, admit: () => Promise<unknown>): void {
  const idleMs = deps.config.CONSOLE_IDLE_SECONDS * 1_000
  const gone = new AbortController()
  const signal = AbortSignal.any([gone.signal, deps.stopping])
  let heardAt = performance.now()
  let asks = 0
  let waiting = 0
  let answering = Promise.resolve()
  const subscribed = new Set<string>()

  const ticker = setInterval(() => {
    if (performance.now() - heardAt > idleMs) client.terminate()
    else client.ping()
  }, idleMs / 3)
  const window = setInterval(() => (asks = 0), asksWindowMs)
  const admitted = keepAdmitted(admit, () => client.close(1008, 'no longer allowed'))
  client.on('pong', () => (heardAt = performance.now()))
  client.on('ping', () => {
    // Its pongs wait for a client that may read nothing.
    if (++asks > maxAsks) client.terminate()
  })
  client.on('error', () => {})
  client.once('close', () => {
    clearInterval(ticker)
    clearInterval(window)
    admitted[Symbol.dispose]()
    gone.abort()
  })
  client.on('message', (data, isBinary) => {
    heardAt = performance.now()
    if (++asks > maxAsks) return client.close(1008, 'too many messages')
    if (waiting >= maxWaiting) return client.close(1008, 'too many questions wait')
    waiting++
    // One answer at a time: a client that asks and does not read waits for itself.
    answering = answering
      .then(() => answer(isBinary ? undefined : parse((data as Buffer).toString('utf8'))))
      .catch(() => client.terminate())
      .finally(() => waiting--)
  })

  async function answer(value: unknown): Promise<void> {
    const asked = Ask.safeParse(value)
    if (!asked.success) {
      const message = 'say {"type": "status" | "get_status" | "get_metrics" | "subscribe" | "ping"}'
      return send('error', { code: 'bad-request', message })
    }
    switch (asked.data.type) {
      case 'ping':
        return send('pong', {})
      case 'status':
      case 'get_status':
        return send('status', deps.snapshot())
      case 'get_metrics':
        return send('metrics', { processes: await deps.metrics.runtime() })
      case 'subscribe': {
        const { topics, lastEventId } = asked.data
        await send('subscribed', { topics })
        for (const topic of topics) {
          if (subscribed.has(topic)) continue
          subscribed.add(topic)
          const feeding = topic === 'events' ? feedEvents(lastEventId) : feedStatus()
          feeding.catch(() => client.terminate())
        }
      }
    }
  }

  function feedEvents(from = deps.pod.events.lastId): Promise<void> {
    return follow(
      deps.pod.events,
      from,
      {
        send: ({ id, value }) => send('event', { id, ...value }),
        gap: (missed) => send('gap', { missed }),
      },
      signal,
    )
  }

  function feedStatus(): Promise<void> {
    const { live } = deps
    return follow(
      live,
      Math.max(0, live.lastId - 1),
      { send: ({ value }) => send('status', value), gap: async () => {} },
      signal,
    )
  }

  /** Settles when the bytes left the process; a client that takes nothing fails it. */
  function send(type: string, data: unknown): Promise<void> {
    const message = JSON.stringify({ type, timestamp: new Date().toISOString(), data })
    return within(
      new Promise<void>((resolve, reject) => {
        client.send(message, (error) => (error == null ? resolve() : reject(error)))
      }),
      idleMs,
    )
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
