import { readdir, readFile, writeFile } from 'node:fs/promises'

/** USER_HZ: what /proc counts in, on every architecture Node runs on. */
const ticksPerSecond = 100

/** Whose work a process does: the way between client and origin, the origin itself, or the generator. */
export type Side = 'path' | 'origin' | 'generator'

/** A process to watch; its children count as processes of their own below its name. */
export type ProcessRef = { name: string; pid: number; side: Side }

/** What one process used while something was measured. */
export type ProcessUsage = ProcessRef & {
  cpuSeconds: number
  rssBeforeBytes: number
  rssAfterBytes: number
  rssPeakBytes: number
}

type Snapshot = { cpuSeconds: number; rssBytes: number; peakBytes: number }

/** Runs `act` and says what each process used meanwhile, children included (Linux). */
export async function measure<T>(
  roots: readonly ProcessRef[],
  act: () => Promise<T>,
): Promise<{ result: T; processes: ProcessUsage[] }> {
  const refs = await withChildren(roots)
  const before = new Map<number, Snapshot>()
  for (const { pid } of refs) {
    await resetPeak(pid)
    before.set(pid, await snapshot(pid))
  }
  const result = await act()
  const processes: ProcessUsage[] = []
  for (const ref of refs) {
    const was = before.get(ref.pid) as Snapshot
    const is = await snapshot(ref.pid).catch(() => {
      throw new Error(`${ref.name} (process ${ref.pid}) died while it was measured`)
    })
    processes.push({
      ...ref,
      cpuSeconds: is.cpuSeconds - was.cpuSeconds,
      rssBeforeBytes: was.rssBytes,
      rssAfterBytes: is.rssBytes,
      rssPeakBytes: is.peakBytes,
    })
  }
  return { result, processes }
}

/** Resident memory of the processes now, by process id. */
export async function residentBytes(roots: readonly ProcessRef[]): Promise<Map<number, number>> {
  const sizes = new Map<number, number>()
  for (const { pid } of await withChildren(roots)) sizes.set(pid, (await snapshot(pid)).rssBytes)
  return sizes
}

/** The processes and everything they started, each child named `parent/program`. */
export async function withChildren(roots: readonly ProcessRef[]): Promise<ProcessRef[]> {
  const children = new Map<number, { pid: number; program: string }[]>()
  for (const entry of await readdir('/proc')) {
    const pid = Number(entry)
    if (!(pid > 0)) continue
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    const { parent, program } = parseStat(stat)
    const siblings = children.get(parent) ?? []
    siblings.push({ pid, program })
    children.set(parent, siblings)
  }
  const all: ProcessRef[] = []
  function add(ref: ProcessRef): void {
    all.push(ref)
    for (const { pid, program } of children.get(ref.pid) ?? []) {
      add({ pid, side: ref.side, name: `${ref.name}/${program}` })
    }
  }
  for (const root of roots) add(root)
  return all
}

async function snapshot(pid: number): Promise<Snapshot> {
  const { ticks } = parseStat(await readFile(`/proc/${pid}/stat`, 'utf8'))
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const kilobytes = (key: string): number =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? Number.NaN)
  return {
    cpuSeconds: ticks / ticksPerSecond,
    rssBytes: kilobytes('VmRSS') * 1_024,
    peakBytes: kilobytes('VmHWM') * 1_024,
  }
}

/** Forgets the highest resident size so far (proc(5), clear_refs). */
async function resetPeak(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, '5')
}

/** The program's name may hold spaces and brackets: fields are counted from its last bracket (proc(5)). */
function parseStat(stat: string): { program: string; parent: number; ticks: number } {
  const end = stat.lastIndexOf(')')
  const fields = stat.slice(end + 2).split(' ')
  return {
    program: stat.slice(stat.indexOf('(') + 1, end),
    parent: Number(fields[1]),
    ticks: Number(fields[11]) + Number(fields[12]),
  }
}
