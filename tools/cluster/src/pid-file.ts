import { readFile, rm, writeFile } from 'node:fs/promises'

/** Remembers processes, so that those of an owner that was killed can be ended by the next one. */
export type PidFile = {
  write(pids: number[]): Promise<void>
  /** Ends what the file names, if it is still the same process (Linux: by its start time). */
  endForgotten(): Promise<void>
  remove(): Promise<void>
}

/** A pid file; each line is a pid and its start time. */
export function createPidFile(file: string): PidFile {
  return {
    async write(pids) {
      const lines = await Promise.all(pids.map(async (pid) => `${pid} ${await startTime(pid)}`))
      await writeFile(file, lines.join('\n'))
    },
    async endForgotten() {
      const text = await readFile(file, 'utf8').catch(() => '')
      for (const line of text.split('\n')) {
        const [pid, since] = line.split(' ')
        if (!(Number(pid) > 0) || !since || (await startTime(Number(pid))) !== since) continue
        process.kill(Number(pid), 'SIGKILL')
      }
    },
    remove: () => rm(file, { force: true }),
  }
}

/** The kernel's start time of a process (Linux); empty where it is gone or unknown. */
async function startTime(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}
