import { AgentError } from '@agent/contracts'

import type { Backoff } from './backoff.ts'

export type ConnectionsOptions<C> = {
  dial(signal: AbortSignal): Promise<C>
  backoff: Backoff
  signal: AbortSignal
  /** Called for every failed dial; `isNews` for the first of an outage or another reason than before. */
  onOutage(error: AgentError, waitMs: number, isNews: boolean): void
  now?: () => number
}

/** One connection of the series; the loop's body says how it ended before it asks for the next. */
export type Connected<C> = {
  connection: C
  /** The server asked us to stay away this long. */
  retryAfter(ms: number): void
}

/**
 * A connection that is made again whenever it ends: the loop's body lives as long as one connection does, then the
 * next one is dialled. Ends with the signal; throws only `credentials-refused`, which no waiting cures.
 */
export async function* connections<C>(
  options: ConnectionsOptions<C>,
): AsyncGenerator<Connected<C>, void, void> {
  const { dial, backoff, signal, onOutage, now = () => performance.now() } = options
  let lastReason = ''
  while (!signal.aborted) {
    let retryAfterMs: number | undefined
    try {
      const connection = await dial(signal)
      lastReason = ''
      const since = now()
      yield { connection, retryAfter: (ms) => void (retryAfterMs = ms) }
      backoff.lived(now() - since)
      if (signal.aborted) return
    } catch (cause) {
      if (signal.aborted) return
      const error = AgentError.from(cause, 'connection')
      if (error.code === 'credentials-refused') throw error
      const waitMs = backoff.next(error.retryAfterMs)
      onOutage(error, waitMs, error.message !== lastReason)
      lastReason = error.message
      await wait(waitMs, signal)
      continue
    }
    await wait(backoff.next(retryAfterMs), signal)
  }
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
    if (signal.aborted) done()
  })
}
