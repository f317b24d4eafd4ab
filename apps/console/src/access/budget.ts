import { AgentError } from '@agent/contracts'

/**
 * So many per second, the unused ones of one second saved up: `take` throws `unavailable` when there is none left. Every
 * unknown token is a question to the API server, and whoever reaches the port can send tokens.
 */
export function createBudget(perSecond: number, now: () => number = () => performance.now()) {
  let left = perSecond
  let at = now()
  return {
    take(): void {
      const nowMs = now()
      left = Math.min(perSecond, left + ((nowMs - at) / 1_000) * perSecond)
      at = nowMs
      if (left < 1) {
        throw new AgentError('unavailable', 'too many unknown tokens are tried at once', {
          hop: 'service',
          retryAfterMs: 1_000,
        })
      }
      left--
    },
  }
}
