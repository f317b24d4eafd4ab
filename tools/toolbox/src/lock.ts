import { setTimeout as delay } from 'node:timers/promises'

import { takeOwnerLock } from './owner-lock.ts'
import type { Progress } from './resolve.ts'

const pollMs = 500

/** Runs a task while holding a lock file; a lock whose owner is dead is taken over. */
export async function withLock<T>(
  file: string,
  { progress, signal }: { progress: Progress; signal?: AbortSignal },
  task: () => Promise<T>,
): Promise<T> {
  let isWaiting = false
  for (;;) {
    const lock = await takeOwnerLock(file)
    if (lock.isOurs) {
      try {
        return await task()
      } finally {
        await lock.release()
      }
    }
    if (!isWaiting) progress(`waiting for process ${lock.owner}, which builds the same`)
    isWaiting = true
    await delay(pollMs, undefined, signal === undefined ? {} : { signal })
  }
}
