import { AgentError } from '@agent/contracts'
import type { Context, Hono } from 'hono'

import type { ConsoleDeps, ConsoleEnv } from './deps.ts'
import { follow } from './follow.ts'
import { sendPodLog } from './pod-log.ts'
import { parseQuery } from './problem.ts'
import { EventsQuery, LogsQuery } from './schemas.ts'
import { sendSidecarLogs } from './sidecar-logs.ts'
import { type EventStream, serveEvents } from './sse.ts'

/** Live events and logs as server-sent events. */
export function addRealtimeRoutes(app: Hono<ConsoleEnv>, deps: ConsoleDeps): void {
  const idleMs = deps.config.CONSOLE_IDLE_SECONDS * 1_000
  const { stopping } = deps

  app.get('/api/realtime/events', (c) => {
    const query = parseQuery(c, EventsQuery)
    const header = Number(c.req.header('last-event-id') ?? Number.NaN)
    const from =
      query.lastEventId ?? (Number.isSafeInteger(header) && header >= 0 ? header : undefined)
    const place = enter(deps, c)
    const admit = c.get('admit')
    return serveEvents(c, { idleMs, place, stopping, admit }, async (stream) => {
      await stream.send({ event: 'hello', data: { lastEventId: deps.pod.events.lastId } })
      const statuses = query.status ? followStatus(deps, stream) : undefined
      await Promise.race([
        followEvents(deps, from, stream),
        ...(statuses === undefined ? [] : [statuses]),
      ])
    })
  })

  app.get('/api/realtime/logs', async (c) => {
    const query = parseQuery(c, LogsQuery)
    const place = enter(deps, c)
    const admit = c.get('admit')
    try {
      const send =
        query.pod === undefined
          ? sendSidecarLogs(deps.logs, query)
          : await sendPodLog(deps.bus, query, c.get('user'))
      return serveEvents(c, { idleMs, place, stopping, admit }, send)
    } catch (error) {
      place[Symbol.dispose]()
      throw error
    }
  })
}

function enter({ config, limits }: ConsoleDeps, c: Context<ConsoleEnv>): Disposable {
  if (c.req.method !== 'GET') {
    throw new AgentError('bad-request', 'a stream of events has no head of its own: ask with GET')
  }
  if (config.PIPEOPS_ENABLE_SSE) return limits.sse.enter(c.get('user'))
  throw new AgentError('not-found', 'server-sent events are turned off (PIPEOPS_ENABLE_SSE)', {
    hop: 'service',
  })
}

async function followEvents(
  { pod }: ConsoleDeps,
  from: number | undefined,
  stream: EventStream,
): Promise<void> {
  await follow(
    pod.events,
    // Without a place to go on from, the latest ones give the timeline something to begin with.
    from ?? Math.max(0, pod.events.lastId - 50),
    {
      send: ({ id, value }) => stream.send({ event: 'event', id, data: { id, ...value } }),
      gap: (missed) => stream.send({ event: 'gap', data: { missed } }),
    },
    stream.signal,
  )
}

async function followStatus({ live }: ConsoleDeps, stream: EventStream): Promise<void> {
  await follow(
    live,
    Math.max(0, live.lastId - 1),
    {
      send: ({ value }) => stream.send({ event: 'status', data: value }),
      // Only the latest status matters.
      gap: async () => {},
    },
    stream.signal,
  )
}
