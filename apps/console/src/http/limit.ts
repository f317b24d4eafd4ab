import { AgentError } from '@agent/contracts'
import { addGauge } from '@agent/sidecar'
import type { Registry } from 'prom-client'

/** Counts live connections of one kind and refuses those beyond its limit. */
export type ConnectionLimit = {
  /** Takes a place until disposed of; throws `unavailable` when there is none. */
  enter(): Disposable
}

/** A limit that shows in a metric. */
export function createLimit(
  registry: Registry,
  options: { metric: string; help: string; most: number },
): ConnectionLimit {
  let count = 0
  addGauge(registry, options.metric, options.help, () => count)
  return {
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
