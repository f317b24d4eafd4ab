import type { Bus } from '@agent/bus'
import { logsWanted, logWritten } from '@agent/contracts'

const keptLines = 200
const flushMs = 250
const maxLines = 256
const maxLineChars = 8_192
/** Of one message as JSON; the bus takes 256 KiB. */
const maxBatchBytes = 196_608

/** Copies a sidecar's log lines to the bus while somebody there reads them. */
export type LogTap = {
  write(line: string): void
  attach(bus: Bus, who: { sidecar: string; instance: string }): AsyncDisposable
}

/** A tap that keeps the latest lines, so that a new reader sees what led up to now. */
export function createLogTap(now: () => number = () => performance.now()): LogTap {
  const kept: string[] = []
  let waiting: string[] = []
  let waitingBytes = 0
  let dropped = 0
  let wantedUntilMs = 0

  /** What does not fit pushes out the oldest: the latest lines say what is going on. */
  function enqueue(line: string): void {
    waiting.push(line)
    waitingBytes += sizeOf(line)
    while (waiting.length > maxLines || waitingBytes > maxBatchBytes) {
      waitingBytes -= sizeOf(waiting.shift() as string)
      dropped++
    }
  }

  return {
    write(text) {
      const line = text.trimEnd().slice(0, maxLineChars)
      kept.push(line)
      if (kept.length > keptLines) kept.shift()
      if (now() < wantedUntilMs) enqueue(line)
    },
    attach(bus, who) {
      const listening = bus.subscribe(logsWanted, ({ leaseSeconds }) => {
        const isNew = now() >= wantedUntilMs
        wantedUntilMs = now() + leaseSeconds * 1_000
        if (isNew) for (const line of kept) enqueue(line)
      })
      const timer = setInterval(() => {
        if (waiting.length === 0) return
        const lines = waiting
        const lost = dropped
        waiting = []
        waitingBytes = 0
        dropped = 0
        bus.publish(logWritten, { ...who, lines, dropped: lost })
      }, flushMs)
      return {
        async [Symbol.asyncDispose]() {
          clearInterval(timer)
          await listening[Symbol.asyncDispose]()
        },
      }
    },
  }
}

/** Of a line in a message: quotes are escaped, and not every character is one byte. */
function sizeOf(line: string): number {
  return Buffer.byteLength(JSON.stringify(line)) + 1
}
