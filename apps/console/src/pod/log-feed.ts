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
  /** Asks for lines until disposed of. */
  read(): Disposable
}

/** A feed over the bus. */
export function createLogFeed(bus: Bus): LogFeed {
  const lines = new EventRing<LogLine>(keptLines)
  let readers = 0
  let timer: NodeJS.Timeout | undefined
  const listening = bus.subscribe(logWritten, ({ sidecar, instance, lines: written, dropped }) => {
    if (dropped > 0) {
      lines.add({ sidecar, instance, line: `… ${dropped} lines of ${sidecar} are missing here …` })
    }
    for (const line of written) lines.add({ sidecar, instance, line })
  })
  const ask = (): void => bus.publish(logsWanted, { leaseSeconds })

  return {
    lines,
    read() {
      if (readers++ === 0) {
        ask()
        timer = setInterval(ask, renewMs)
      }
      let isOpen = true
      return {
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
