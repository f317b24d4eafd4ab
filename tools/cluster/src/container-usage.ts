import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { space } from './node-names.ts'
import { groupRoots } from './node-space.ts'

/** What the kernel counts for one container of the whole node. */
export type ContainerUsage = {
  /** Processor time since it started. */
  cpuSeconds: number
  /** What limits count and cannot simply be dropped: all but file pages that nobody used lately. */
  workingSetBytes: number
  /** The most that it ever held, file pages included. */
  peakBytes: number
  limitBytes: number
  /** Processes in it that were killed because they wanted more. */
  oomKills: number
}

/** Reads the control groups of a container, of either version (cgroups(7)); throws when it does not run. */
export async function readContainerUsage(containerId: string): Promise<ContainerUsage> {
  const groups: string[] = []
  for (const root of await groupRoots()) {
    for await (const path of glob(`${space.name}/**/${containerId}`, { cwd: root })) {
      groups.push(join(root, path))
    }
  }
  if (groups.length === 0) throw new Error(`no container ${containerId} runs on the whole node`)
  /** The first of the named files that is there; the second version's name comes first. */
  const read = async (...names: string[]): Promise<string> => {
    for (const name of names) {
      for (const group of groups) {
        const text = await readFile(join(group, name), 'utf8').catch(() => undefined)
        if (text !== undefined) return text.trim()
      }
    }
    throw new Error(`this kernel does not count ${names.join(' or ')}`)
  }
  const field = (text: string, name: string): number =>
    Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN)

  const used = Number(await read('memory.current', 'memory.usage_in_bytes'))
  const statistics = await read('memory.stat')
  const isFirst = /^total_inactive_file /m.test(statistics)
  const inactive = field(statistics, isFirst ? 'total_inactive_file' : 'inactive_file')
  return {
    cpuSeconds: isFirst
      ? Number(await read('cpuacct.usage')) / 1e9
      : field(await read('cpu.stat'), 'usage_usec') / 1e6,
    workingSetBytes: Math.max(0, used - inactive),
    peakBytes: Number(await read('memory.peak', 'memory.max_usage_in_bytes')),
    limitBytes: Number(await read('memory.max', 'memory.limit_in_bytes')),
    oomKills: field(await read('memory.events', 'memory.oom_control'), 'oom_kill'),
  }
}
