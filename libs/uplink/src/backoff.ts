const stepsMs = [1_000, 2_000, 4_000, 8_000, 15_000]
const jitter = 0.25
/** A connection that lived this long was a good one: the next outage begins with short waits again. */
const goodAfterMs = 5_000

/** How long to wait before dialling again. */
export type Backoff = {
  /** The next wait in milliseconds; what the server asked for is a lower bound. */
  next(retryAfterMs?: number): number
  /** Tells how long the connection lived that just ended. */
  lived(ms: number): void
}

/** 1, 2, 4, 8, then 15 seconds for ever, each ±25 %. */
export function createBackoff(random: () => number = Math.random): Backoff {
  let step = 0
  return {
    next(retryAfterMs = 0) {
      const base = Math.max(stepsMs[step] as number, retryAfterMs)
      step = Math.min(step + 1, stepsMs.length - 1)
      const waitMs = base * (1 - jitter + 2 * jitter * random())
      // Never earlier than asked: the spread then goes all to the late side.
      return Math.max(waitMs, retryAfterMs * (1 + jitter * random()))
    },
    lived(ms) {
      if (ms >= goodAfterMs) step = 0
    },
  }
}
