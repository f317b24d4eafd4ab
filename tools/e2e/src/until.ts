import { setTimeout as delay } from 'node:timers/promises'

const pollMs = 150

/** Asks until there is an answer; rejects with what stood in the way when the deadline passes. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  let problem: unknown
  for (;;) {
    try {
      const answer = await ask()
      if (answer !== undefined && answer !== false) return answer
      problem = undefined
    } catch (error) {
      problem = error
    }
    if (performance.now() > deadline) {
      throw new Error(`not within ${timeoutMs / 1_000} s: ${what}`, { cause: problem })
    }
    await delay(pollMs)
  }
}
