import { readFile, rm, writeFile } from 'node:fs/promises'

import { findLiving, identify } from '@agent/toolbox'

/** Remembers processes that lead groups of their own, so that those of an owner that was killed can be ended by the next one. */
export type PidFile = {
  write(pids: number[]): Promise<void>
  /** Ends what the file names, if it is still the same process. */
  endForgotten(): Promise<void>
  remove(): Promise<void>
}

/** A pid file; each line is a pid and its start time. */
export function createPidFile(file: string): PidFile {
  return {
    async write(pids) {
      await writeFile(file, (await Promise.all(pids.map(identify))).join('\n'))
    },
    async endForgotten() {
      const text = await readFile(file, 'utf8').catch(() => '')
      for (const line of text.split('\n')) {
        const pid = await findLiving(line)
        // The whole group: what it started would outlive it.
        if (pid !== undefined) killGroup(pid)
      }
    },
    remove: () => rm(file, { force: true }),
  }
}

/** Kills a process that leads a group, and everything in it. */
export function killGroup(leader: number): void {
  for (const pid of [-leader, leader]) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // Gone already, or it leads no group.
    }
  }
}
