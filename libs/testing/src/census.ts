import { readdir, readFile, readlink } from 'node:fs/promises'

import { eventually } from './eventually.ts'

/** What a process holds, by kind. */
export type Census = Record<string, number>

/** Counts the sockets, other files and children a process holds now (Linux). */
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

/** The greater of two counts, kind by kind: what is idle differs from moment to moment. */
export function mostOf(a: Census, b: Census): Census {
  const kinds = new Set([...Object.keys(a), ...Object.keys(b)])
  return Object.fromEntries([...kinds].map((kind) => [kind, Math.max(a[kind] ?? 0, b[kind] ?? 0)]))
}

/** Waits until nobody holds more than in the baseline; fails naming who, and what is left. */
export async function assertBackToBaseline(
  baseline: ReadonlyMap<string, Census>,
  options: { deadlineMs: number; take(name: string): Promise<Census> },
): Promise<void> {
  await eventually(
    async () => {
      for (const [name, before] of baseline) {
        const now = await options.take(name)
        for (const [kind, count] of Object.entries(now)) {
          const allowed = before[kind] ?? 0
          if (count > allowed) {
            throw new Error(`${name} holds ${count} ${kind}, before it were ${allowed}`)
          }
        }
      }
      return true
    },
    { deadlineMs: options.deadlineMs, what: 'the return to the baseline' },
  )
}
