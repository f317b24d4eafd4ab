import type { Bus } from '@agent/bus'
import { logsWanted, logWritten } from '@agent/contracts'

import { EventRing } from './event-ring.ts'

const keptLines = 2_000
const leaseSeconds = 20
const renewMs = 8_000

/** One log line of a sidecar. */
export type LogLine = { sidecar: string; instance: string; line: string }

/** The sidecars' logs. They send them only while somebody reads. */
export type LogFeed = AsyncDisposable & {
  readonly lines: EventRing<LogLine>
  /** Asks for lines until disposed of. What stands before `from` is of an earlier reading: sidecars send it again. */
  read(): Disposable & { from: number }
}

/** A feed over the bus. */
export function createLogFeed(
  bus: Pick<Bus, 'publish' | 'subscribe'>,
  now: () => number = () => performance.now(),
): LogFeed {
  const lines = new EventRing<LogLine>(keptLines)
  let readers = 0
  let from = 0
  let leaseEndsMs = 0
  let timer: NodeJS.Timeout | undefined
  const listening = bus.subscribe(logWritten, ({ sidecar, instance, lines: written, dropped }) => {
    if (dropped > 0) {
      lines.add({ sidecar, instance, line: `… ${dropped} lines of ${sidecar} are missing here …` })
    }
    for (const line of written) lines.add({ sidecar, instance, line })
  })
  function ask(): void {
    leaseEndsMs = now() + leaseSeconds * 1_000
    bus.publish(logsWanted, { leaseSeconds })
  }

  return {
    lines,
    read() {
      if (readers++ === 0) {
        // With the lease the sidecars forgot us: between then and now lines are missing.
        if (now() >= leaseEndsMs) from = lines.lastId
        ask()
        timer = setInterval(ask, renewMs)
      }
      let isOpen = true
      return {
        from,
        [Symbol.dispose]() {
          if (!isOpen) return
          isOpen = false
          if (--readers === 0) clearInterval(timer)
        },
      }
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await listening[Symbol.asyncDispose]()
    },
  }
}
