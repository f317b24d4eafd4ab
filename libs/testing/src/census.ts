import { readdir, readFile, readlink } from 'node:fs/promises'

import { eventually } from './eventually.ts'

/** What a process holds: open files by kind, and children (Linux). */
export type Census = { sockets: number; files: number; children: number }

/** Counts what a process holds now. */
export async function takeCensus(pid: number): Promise<Census> {
  const census = { sockets: 0, files: 0, children: 0 }
  for (const fd of await readdir(`/proc/${pid}/fd`)) {
    const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')
    if (target.startsWith('socket:')) census.sockets++
    else if (target !== '') census.files++
  }
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  census.children = children.trim() === '' ? 0 : children.trim().split(' ').length
  return census
}

/** Waits until no process holds more than in its baseline; fails naming the process and what is left. */
export async function assertBackToBaseline(
  baseline: ReadonlyMap<number, Census>,
  options: { deadlineMs: number; names?: ReadonlyMap<number, string> },
): Promise<void> {
  await eventually(
    async () => {
      for (const [pid, before] of baseline) {
        const now = await takeCensus(pid)
        for (const key of ['sockets', 'files', 'children'] as const) {
          if (now[key] > before[key]) {
            const name = options.names?.get(pid) ?? `process ${pid}`
            throw new Error(`${name} holds ${now[key]} ${key}, before it were ${before[key]}`)
          }
        }
      }
      return true
    },
    { deadlineMs: options.deadlineMs, what: 'the return to the baseline' },
  )
}
