import type { Context } from 'hono'
import { streamSSE, type SSEStreamingApi } from 'hono/streaming'

import { keepAdmitted } from '../access/keep-admitted.ts'
import type { ConsoleEnv } from './deps.ts'
import { within } from './follow.ts'

const quietMs = 15_000

/** One server-sent event (HTML Living Standard §9.2). */
export type ServerEvent = { event: string; data: unknown; id?: number }

/** A client of an event stream, as its feeder sees it. */
export type EventStream = {
  signal: AbortSignal
  /** Settles when the client took it; rejects when it did not in time. */
  send(event: ServerEvent): Promise<void>
}

export type EventStreamOptions = {
  idleMs: number
  place: Disposable
  stopping: AbortSignal
  /** Whether the client may still listen; asked now and then. */
  admit(): Promise<unknown>
}

/**
 * Answers with an event stream that lasts until `feed` returns, fails, or the client goes. Where nothing happens a
 * comment (which clients ignore and proxies take for life) shows whether it is gone.
 */
export function serveEvents(
  c: Context<ConsoleEnv>,
  options: EventStreamOptions,
  feed: (stream: EventStream) => Promise<void>,
): Response {
  const { idleMs, place, stopping, admit } = options
  const { outgoing } = c.env
  c.header('x-accel-buffering', 'no')
  c.header('cache-control', 'no-store')
  return streamSSE(c, async (stream: SSEStreamingApi) => {
    const gone = new AbortController()
    let writing = 0
    const write = async (writes: Promise<unknown>): Promise<void> => {
      writing++
      try {
        await within(writes, idleMs)
      } finally {
        writing--
      }
    }
    function end(): void {
      gone.abort()
      stream.abort()
      // What waits in the socket for a client that reads nothing would keep it open for ever.
      outgoing.destroy()
    }
    stream.onAbort(() => gone.abort())
    using _admitted = keepAdmitted(admit, end)
    const life = setInterval(() => {
      if (writing === 0) write(stream.write(': still here\n\n')).catch(end)
    }, quietMs)
    try {
      await feed({
        signal: AbortSignal.any([gone.signal, stopping]),
        send: ({ event, data, id }) =>
          write(
            stream.writeSSE({
              event,
              data: JSON.stringify(data),
              ...(id === undefined ? {} : { id: String(id) }),
            }),
          ),
      })
    } catch {
      // A client that is gone or takes nothing: there is nobody to tell.
      end()
    } finally {
      clearInterval(life)
      place[Symbol.dispose]()
    }
  })
}
