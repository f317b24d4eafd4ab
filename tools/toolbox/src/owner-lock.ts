import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

import { findLiving, identify } from './process-identity.ts'

/** A lock file of ours, or the process that has it. */
export type OwnerLock =
  | { isOurs: true; release(): Promise<void> }
  | { isOurs: false; owner: number }

/** Takes a lock file for this process; one whose owner is dead is taken over, even if its pid means another process now. */
export async function takeOwnerLock(file: string): Promise<OwnerLock> {
  const me = await identify(process.pid)
  const mine = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}`
  await writeFile(mine, me)
  try {
    // A link appears with its content, or not at all.
    while (!(await tryLink(mine, file))) {
      const text = await readFile(file, 'utf8').catch(() => undefined)
      if (text === undefined) continue
      const owner = await findLiving(text)
      if (owner !== undefined) return { isOurs: false, owner }
      await removeStale(file, text, mine)
    }
  } finally {
    await rm(mine, { force: true })
  }
  return {
    isOurs: true,
    async release() {
      if ((await readFile(file, 'utf8').catch(() => '')) === me) await rm(file, { force: true })
    },
  }
}

/**
 * Takes a dead owner's file away. Only the holder of the guard may, and only after another look: otherwise a second
 * process that judged the same dead owner would take away what the first has put there since.
 */
async function removeStale(file: string, expected: string, mine: string): Promise<void> {
  const guard = `${file}.takeover`
  if (!(await tryLink(mine, guard))) {
    const holder = await readFile(guard, 'utf8').catch(() => undefined)
    if (holder !== undefined && (await findLiving(holder)) === undefined)
      await rm(guard, { force: true })
    await delay(5)
    return
  }
  try {
    if ((await readFile(file, 'utf8').catch(() => '')) === expected) await rm(file)
  } finally {
    await rm(guard)
  }
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}
