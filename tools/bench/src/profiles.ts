import { readdir, readFile } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(import.meta.dirname, '../../..')
const shownFunctions = 25
/** What a process does while nobody asks it anything is no finding. */
const idle = new Set(['(idle)', '(program)', '(root)'])

/** V8's .cpuprofile: a tree of call frames, and which of them was on top at each sample. */
type CpuProfile = {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[]
  samples: number[]
  timeDeltas: number[]
}

/** Functions with the most time of their own in every profile below `dir`, as text. */
export async function renderProfiles(dir: string): Promise<string> {
  const files = (await readdir(dir).catch(() => [])).filter((name) => name.endsWith('.cpuprofile'))
  const parts = await Promise.all(
    files.toSorted().map(async (name) => {
      const file = join(dir, name)
      const profile = JSON.parse(await readFile(file, 'utf8')) as CpuProfile
      return `\n${mainOf(profile)} (${file})\n${busiest(profile)}\n`
    }),
  )
  return parts.join('')
}

function busiest({ nodes, samples, timeDeltas }: CpuProfile): string {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const microseconds = new Map<string, number>()
  for (const [at, id] of samples.entries()) {
    const name = names.get(id) as string
    microseconds.set(name, (microseconds.get(name) ?? 0) + (timeDeltas[at] ?? 0))
  }
  const own = [...microseconds].filter(([name]) => !idle.has(name))
  const total = own.reduce((sum, [, time]) => sum + time, 0)
  return own
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, shownFunctions)
    .map(([name, time]) => `  ${((time / total) * 100).toFixed(1).padStart(5)} %  ${name}`)
    .join('\n')
}

function nameOf({ functionName, url, lineNumber }: CpuProfile['nodes'][0]['callFrame']): string {
  const name = functionName === '' ? '(anonymous)' : functionName
  if (url === '') return name
  return `${name}  ${shortUrl(url)}:${lineNumber + 1}`
}

function mainOf({ nodes }: CpuProfile): string {
  const main = nodes.find(({ callFrame }) => callFrame.url.endsWith('/main.ts'))
  return main === undefined ? 'a process' : shortUrl(main.callFrame.url)
}

function shortUrl(url: string): string {
  return url.startsWith('file:') ? relative(root, fileURLToPath(url)) : basename(url)
}
