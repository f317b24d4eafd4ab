import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { type ContainerUsage, readContainerUsage } from '@agent/cluster'

import { containerId, containersOf, type Pod } from './pods.ts'

const sampleMs = 500
const file = join(import.meta.dirname, '../../../.run/e2e/resources.json')

/** What a container took in a while. */
export type Taken = {
  /** The working set: the most of all samples, and the last. */
  mostMib: number
  lastMib: number
  /** The kernel's own mark, file pages included, since the container started. */
  peakMib: number
  limitMib: number
  milliCpu: number
  oomKills: number
}

/** Runs something and measures each container of the pods meanwhile, by its name. */
export async function measure<T>(
  pods: Pod[],
  during: () => Promise<T>,
): Promise<{ result: T; taken: Map<string, Taken> }> {
  const containers = pods.flatMap(containersOf)
  const read = (): Promise<ContainerUsage[]> =>
    Promise.all(containers.map((each) => readContainerUsage(containerId(each))))
  const startedAt = performance.now()
  const first = await read()
  const samples = [first]
  const stopping = new AbortController()
  const sampling = (async () => {
    while (!stopping.signal.aborted) {
      await delay(sampleMs, undefined, { signal: stopping.signal }).catch(() => {})
      samples.push(await read())
    }
  })()
  // It is awaited below; until then its failure is no stray one.
  sampling.catch(() => {})
  let result: T
  try {
    result = await during()
  } finally {
    stopping.abort()
  }
  await sampling
  const seconds = (performance.now() - startedAt) / 1_000
  const last = samples.at(-1) as ContainerUsage[]
  const taken = containers.map(({ name }, at): [string, Taken] => {
    const { peakBytes, limitBytes, oomKills, cpuSeconds } = last[at] as ContainerUsage
    const sets = samples.map((sample) => (sample[at] as ContainerUsage).workingSetBytes)
    const used = cpuSeconds - (first[at] as ContainerUsage).cpuSeconds
    return [
      name,
      {
        mostMib: mib(Math.max(...sets)),
        lastMib: mib(sets.at(-1) as number),
        peakMib: mib(peakBytes),
        limitMib: mib(limitBytes),
        milliCpu: Math.round((used / seconds) * 1_000),
        oomKills,
      },
    ]
  })
  return { result, taken: new Map(taken) }
}

/** No container lost a process to its limit, and each has the limit that the chart writes. */
export function assertWithin(taken: Map<string, Taken>, limitsMib: Record<string, number>): void {
  for (const [name, limitMib] of Object.entries(limitsMib)) {
    const found = taken.get(name)
    assert.ok(found, `${name} was measured`)
    assert.equal(found.limitMib, limitMib, `the limit of ${name}`)
    assert.equal(found.oomKills, 0, `processes of ${name} killed for their memory`)
  }
}

/** One line for each container, and the same in a file. */
export async function reportResources(
  idle: Map<string, Taken>,
  loaded: Map<string, Taken>,
  say: (line: string) => void,
): Promise<void> {
  const rows = [...idle].map(([name, { lastMib, limitMib, milliCpu }]) => ({
    name,
    idleMib: lastMib,
    loadedMib: loaded.get(name)?.mostMib,
    peakMib: loaded.get(name)?.peakMib,
    limitMib,
    idleMilliCpu: milliCpu,
    loadedMilliCpu: loaded.get(name)?.milliCpu,
  }))
  const headings = ['container', 'idle MiB', 'loaded MiB', 'peak with file pages', 'limit']
  const table = [
    [...headings, 'idle mCPU', 'loaded mCPU'],
    ...rows.map((row) => Object.values(row).map((value) => String(value ?? '-'))),
  ]
  for (const [name = '', ...cells] of table) {
    say(`        ${name.padEnd(14)}${cells.map((cell) => cell.padStart(21)).join('')}`)
  }
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await writeFile(file, `${JSON.stringify(rows, undefined, 2)}\n`)
}

function mib(bytes: number): number {
  return Math.round(bytes / 1_048_576)
}
