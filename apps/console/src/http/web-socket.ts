import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import { AgentError } from '@agent/contracts'
import { type WebSocket, WebSocketServer } from 'ws'
import * as z from 'zod'

import type { ConsoleDeps } from './deps.ts'
import { follow, within } from './follow.ts'

const maxMessageBytes = 4_096
/** A client that asks faster than this many times in ten seconds is ended. */
const maxAsks = 100
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
  /** Takes the upgrade, or throws why not. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

/** Serves `/ws`. */
export function createLiveSocket(deps: ConsoleDeps): LiveSocket {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: maxMessageBytes,
    perMessageDeflate: false,
  })
  return {
    accept(request, socket, head) {
      if (!deps.config.PIPEOPS_ENABLE_WEBSOCKET) {
        throw new AgentError('not-found', 'WebSocket is turned off (PIPEOPS_ENABLE_WEBSOCKET)')
      }
      const place = deps.limits.webSocket.enter()
      socket.once('close', () => place[Symbol.dispose]())
      server.handleUpgrade(request, socket, head, (client) => serveClient(deps, client))
    },
    async [Symbol.asyncDispose]() {
      for (const client of server.clients) client.close(1001, 'the console stops')
      for (const client of server.clients) client.terminate()
      server.close()
    },
  }
}

function serveClient(deps: ConsoleDeps, client: WebSocket): void {
  const idleMs = deps.config.CONSOLE_IDLE_SECONDS * 1_000
  const gone = new AbortController()
  const signal = AbortSignal.any([gone.signal, deps.stopping])
  let heardAt = performance.now()
  let asks = 0
  let isBusy = false
  const subscribed = new Set<string>()

  const ticker = setInterval(() => {
    if (performance.now() - heardAt > idleMs) client.terminate()
    else client.ping()
  }, idleMs / 3)
  const window = setInterval(() => (asks = 0), asksWindowMs)
  client.on('pong', () => (heardAt = performance.now()))
  client.on('error', () => {})
  client.once('close', () => {
    clearInterval(ticker)
    clearInterval(window)
    gone.abort()
  })
  client.on('message', (data, isBinary) => {
    heardAt = performance.now()
    if (++asks > maxAsks) return client.close(1008, 'too many messages')
    // One answer at a time: a client that asks and does not read waits for itself.
    if (isBusy) return
    isBusy = true
    answer(isBinary ? undefined : parse((data as Buffer).toString('utf8')))
      .catch(() => client.terminate())
      .finally(() => (isBusy = false))
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
        idle: async () => {},
      },
      signal,
    )
  }

  function feedStatus(): Promise<void> {
    const { live } = deps
    return follow(
      live,
      Math.max(0, live.lastId - 1),
      { send: ({ value }) => send('status', value), gap: async () => {}, idle: async () => {} },
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
