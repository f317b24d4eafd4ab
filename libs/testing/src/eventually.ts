import { setTimeout as delay } from 'node:timers/promises'

type Truthy<T> = Exclude<T, undefined | null | false | 0 | ''>

/** Asks again until the answer is truthy, and returns it; the last failure is thrown at the deadline. */
export async function eventually<T>(
  ask: () => Promise<T> | T,
  options: { deadlineMs: number; what: string },
): Promise<Truthy<T>> {
  const deadline = performance.now() + options.deadlineMs
  let last: unknown
  while (performance.now() < deadline) {
    try {
      const answer = await ask()
      if (answer) return answer as Truthy<T>
      last = answer
    } catch (error) {
      last = error
    }
    await delay(50)
  }
  const why = last instanceof Error ? last.message : String(last)
  throw new Error(`${options.what} did not happen within ${options.deadlineMs} ms (last: ${why})`)
}
