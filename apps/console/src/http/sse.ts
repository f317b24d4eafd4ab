import type { Context } from 'hono'
import { streamSSE, type SSEStreamingApi } from 'hono/streaming'

import { within } from './follow.ts'

/** One server-sent event (HTML Living Standard §9.2). */
export type ServerEvent = { event: string; data: unknown; id?: number }

/** A client of an event stream, as its feeder sees it. */
export type EventStream = {
  signal: AbortSignal
  /** Settles when the client took it; rejects when it did not in time. */
  send(event: ServerEvent): Promise<void>
  /** A comment, which clients ignore and proxies take for life. */
  comment(): Promise<void>
}

/** Answers with an event stream that lasts until `feed` returns, fails, or the client goes. */
export function serveEvents(
  c: Context,
  options: { idleMs: number; place: Disposable; stopping: AbortSignal },
  feed: (stream: EventStream) => Promise<void>,
): Response {
  c.header('x-accel-buffering', 'no')
  c.header('cache-control', 'no-store')
  return streamSSE(c, async (stream: SSEStreamingApi) => {
    const gone = new AbortController()
    stream.onAbort(() => gone.abort())
    try {
      await feed({
        signal: AbortSignal.any([gone.signal, options.stopping]),
        send: ({ event, data, id }) =>
          within(
            stream.writeSSE({
              event,
              data: JSON.stringify(data),
              ...(id === undefined ? {} : { id: String(id) }),
            }),
            options.idleMs,
          ),
        comment: () =>
          within(
            stream.write(': still here\n\n').then(() => undefined),
            options.idleMs,
          ),
      })
    } catch {
      // A client that is gone or takes nothing: there is nobody to tell.
      stream.abort()
    } finally {
      options.place[Symbol.dispose]()
    }
  })
}
