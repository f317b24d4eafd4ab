import { AgentError } from '@agent/contracts'

const againMs = 30_000

/**
 * Asks the gate again now and then while a connection lives, and calls `end` once it refuses: a live connection must not
 * outlast the right to it. While nobody can be asked the connection stays.
 */
export function keepAdmitted(
  admit: () => Promise<unknown>,
  end: () => void,
  everyMs: number = againMs,
): Disposable {
  const timer = setInterval(() => {
    admit().catch((cause: unknown) => {
      const { code } = AgentError.from(cause, 'service')
      if (code === 'unauthenticated' || code === 'forbidden') end()
    })
  }, everyMs)
  return {
    [Symbol.dispose]() {
      clearInterval(timer)
    },
  }
}
