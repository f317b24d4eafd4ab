import { setTimeout as delay } from 'node:timers/promises'

import type { Supervised } from './supervisor.ts'

const askMs = 2_000
/** More short lives in a row than any test brings about. */
const hopelessCrashes = 4

/** What a process says of itself. */
export type Ready = { status: number; state: string; reason: string }

/** The health endpoints of the stack's processes. */
export type StackHealth = {
  readyz(name: string): Promise<Ready>
  /** The metrics of a process; none for one that is no app of ours. */
  metrics(name: string): Promise<string>
  /** Resolves when all that were started say so; throws naming the first that does not in time. */
  untilReady(deadlineMs: number): Promise<void>
}

/** Asks by name; `ports` are the health ports of what was started so far. The signal ends every wait. */
export function createStackHealth(
  ports: ReadonlyMap<string, number>,
  processes: ReadonlyMap<string, Supervised>,
  signal?: AbortSignal,
): StackHealth {
  async function readyz(name: string): Promise<Ready> {
    try {
      const answer = await fetch(`http://127.0.0.1:${ports.get(name)}/readyz`, {
        signal: AbortSignal.timeout(askMs),
      })
      return {
        status: answer.status,
        ...((await answer.json()) as { state: string; reason: string }),
      }
    } catch {
      return { status: 0, state: 'down', reason: 'it does not answer' }
    }
  }
  async function metrics(name: string): Promise<string> {
    const healthPort = ports.get(name)
    if (healthPort === undefined) return ''
    const answer = await fetch(`http://127.0.0.1:${healthPort}/metrics`, {
      signal: AbortSignal.timeout(askMs),
    })
    return answer.text()
  }
  async function untilReady(deadlineMs: number): Promise<void> {
    const deadline = performance.now() + deadlineMs
    for (const name of ports.keys()) {
      for (;;) {
        signal?.throwIfAborted()
        const { status, state, reason } = await readyz(name)
        if (status === 200) break
        const child = processes.get(name) as Supervised
        const isHopeless = child.crashes > hopelessCrashes
        if (isHopeless || performance.now() > deadline) {
          throw new Error(`${name} is not ready (${state}): ${reason}\n${await child.tail()}`)
        }
        await delay(100)
      }
    }
  }
  return { readyz, metrics, untilReady }
}
