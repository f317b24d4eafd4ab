import { AgentError, type StreamUser } from '@agent/contracts'
import { addGauge } from '@agent/sidecar'
import type { Registry } from 'prom-client'

import { anybody } from '../access/gate.ts'

const retryAfterMs = 10_000

/** Counts live connections of one kind and refuses those beyond its limits. */
export type ConnectionLimit = {
  /** Takes a place until disposed of; throws `unavailable` when there is none, or none for this user. */
  enter(user: StreamUser): Disposable
}

/**
 * A limit that shows in a metric. One user gets half of the places, so that nobody takes them all; who needs no name
 * (`CONSOLE_AUTH=none`) is not one user.
 */
export function createLimit(
  registry: Registry,
  options: { metric: string; help: string; most: number },
): ConnectionLimit {
  const { most } = options
  const mostEach = Math.ceil(most / 2)
  const held = new Map<string, number>()
  let count = 0
  addGauge(registry, options.metric, options.help, () => count)
  return {
    enter({ name }) {
      if (count >= most) throw full(`${most} such connections are open, no more are allowed`)
      const own = held.get(name) ?? 0
      if (own >= mostEach && name !== anybody.name) {
        throw full(`${name} has ${own} such connections open, no more are allowed for one user`)
      }
      count++
      held.set(name, own + 1)
      let isOpen = true
      return {
        [Symbol.dispose]() {
          if (!isOpen) return
          isOpen = false
          count--
          const left = (held.get(name) ?? 1) - 1
          if (left === 0) held.delete(name)
          else held.set(name, left)
        },
      }
    },
  }
}

function full(message: string): AgentError {
  return new AgentError('unavailable', message, { hop: 'service', retryAfterMs })
}
