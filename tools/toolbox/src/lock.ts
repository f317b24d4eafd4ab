import { readFile, rm, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

import type { Progress } from './resolve.ts'

const pollMs = 500

/** Runs a task while holding a lock file; a lock whose owner is dead is taken over. */
export async function withLock<T>(
  file: string,
  { progress, signal }: { progress: Progress; signal?: AbortSignal },
  task: () => Promise<T>,
): Promise<T> {
  let isWaiting = false
  while (!(await take(file))) {
    const owner = Number(await readFile(file, 'utf8').catch(() => ''))
    if (!isAlive(owner)) {
      await rm(file, { force: true })
      continue
    }
    if (!isWaiting) progress(`waiting for process ${owner}, which builds the same`)
    isWaiting = true
    await delay(pollMs, undefined, signal === undefined ? {} : { signal })
  }
  try {
    return await task()
  } finally {
    await rm(file, { force: true })
  }
}

async function take(file: string): Promise<boolean> {
  try {
    await writeFile(file, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
