import { pino } from 'pino'
import { Counter, type Registry } from 'prom-client'

const flushMs = 250
/** Lines are written this much at a time, or after a quarter of a second: each write costs a thread's attention. */
const writeBytes = 15_360
/** What waits for a stdout that nobody reads, in characters; later lines are dropped and counted. */
const maxWaiting = 1_048_576
const closeMs = 2_500

/** Where log lines leave the process. */
export type LogOutput = {
  write(line: string): void
  /** Writes what waits; where nobody takes it within 2.5 s, it ends the process. */
  close(): Promise<void>
}

/** Writes to stdout in the background, with a bound. */
export function createLogOutput(metrics: Registry): LogOutput {
  const destination = pino.destination({
    sync: false,
    minLength: writeBytes,
    maxLength: maxWaiting,
  })
  const dropped = new Counter({
    name: 'pipeops_log_dropped_lines_total',
    help: 'Log lines that were dropped because nobody read stdout.',
    registers: [metrics],
  })
  destination.on('drop', () => dropped.inc())
  const { promise: written, resolve } = Promise.withResolvers<void>()
  // A reader that has gone away (EPIPE) must not end the process, and is not waited for.
  destination.on('error', () => resolve())
  const flusher = setInterval(() => destination.flush(), flushMs)
  return {
    write: (line) => void destination.write(line),
    async close() {
      clearInterval(flusher)
      // A write that hangs in the kernel holds one of libuv's threads, and `process.exit` would wait for it for ever.
      const timer = setTimeout(() => process.kill(process.pid, 'SIGKILL'), closeMs)
      destination.flush(() => resolve())
      await written
      clearTimeout(timer)
    },
  }
}
