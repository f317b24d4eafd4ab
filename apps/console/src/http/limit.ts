import { AgentError } from '@agent/contracts'
import { Gauge, type Registry } from 'prom-client'

/** Counts live connections of one kind and refuses those beyond its limit. */
export type ConnectionLimit = {
  /** Takes a place until disposed of; throws `unavailable` when there is none. */
  enter(): Disposable
  readonly count: number
}

/** A limit that shows in a metric. */
export function createLimit(
  registry: Registry,
  options: { metric: string; help: string; most: number },
): ConnectionLimit {
  let count = 0
  new Gauge({
    name: options.metric,
    help: options.help,
    registers: [registry],
    collect() {
      this.set(count)
    },
  })
  return {
    get count() {
      return count
    },
    enter() {
      if (count >= options.most) {
        throw new AgentError(
          'unavailable',
          `${options.most} such connections are open, no more are allowed`,
          {
            hop: 'service',
            retryAfterMs: 10_000,
          },
        )
      }
      count++
      let isOpen = true
      return {
        [Symbol.dispose]() {
          if (isOpen) count--
          isOpen = false
        },
      }
    },
  }
}
