import { pause } from '@agent/sidecar'

import type { LogFeed, LogLine } from '../pod/log-feed.ts'
import { follow } from './follow.ts'
import type { LogsQuery } from './schemas.ts'
import type { EventStream } from './sse.ts'

const levels = { debug: 20, info: 30, warn: 40, error: 50 } as const
const settleMs = 600

/** Feeds the pod's own logs to one client, filtered as it asks. */
export function sendSidecarLogs(feed: LogFeed, query: LogsQuery) {
  const wanted = matcher(query)
  return async (stream: EventStream): Promise<void> => {
    using reading = feed.read()
    const { lines } = feed
    if (!query.follow) {
      // Sidecars send what they kept once they hear that somebody reads, each when it gets to it.
      await pause(settleMs, stream.signal)
      const { entries } = lines.after(reading.from, Number.MAX_SAFE_INTEGER)
      const found = entries.filter(({ value }) => wanted(value))
      for (const { id, value } of found.slice(Math.max(0, found.length - query.tail))) {
        await stream.send({ event: 'log', id, data: value })
      }
      return stream.send({ event: 'end', data: {} })
    }
    await follow(
      lines,
      Math.max(reading.from, lines.lastId - query.tail),
      {
        async send({ id, value }) {
          if (wanted(value)) await stream.send({ event: 'log', id, data: value })
        },
        gap: (missed) => stream.send({ event: 'gap', data: { missed } }),
      },
      stream.signal,
    )
  }
}

function matcher({ sidecar, level, grep }: LogsQuery): (line: LogLine) => boolean {
  const least = level === undefined ? 0 : levels[level]
  const text = grep?.toLowerCase()
  return ({ sidecar: from, line }) => {
    if (sidecar !== undefined && from !== sidecar) return false
    if (text !== undefined && !line.toLowerCase().includes(text)) return false
    return least === 0 || levelOf(line) >= least
  }
}

/** pino's level, which stands first in each of its lines. */
function levelOf(line: string): number {
  return Number(/^\{"level":(\d+)/.exec(line)?.[1] ?? 0)
}
