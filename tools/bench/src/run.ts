import type { Contender } from './contenders.ts'
import type { StartGenerator } from './generator.ts'
import type { Origin } from './origin.ts'
import type { Programs } from './programs.ts'
import { type ContenderName, format, type Sample } from './sample.ts'
import type { Workload } from './workload.ts'

/** What a run is about, whatever it measures. */
export type RunOptions = {
  /** State of this run goes below it. */
  dir: string
  programs: Programs
  startGenerator: StartGenerator
  rounds: number
  isQuick: boolean
  contenders: readonly ContenderName[]
  profileDir: string | undefined
  progress: (message: string) => void
  signal: AbortSignal
}

type OpenContender = (name: ContenderName) => Promise<Contender>

const seconds = { full: 10, quick: 3 }

/** Runs workloads on one origin, in interleaved rounds: whatever else the machine does hits everybody. */
export async function runWorkloads<O extends Origin>(
  workloads: readonly Workload<O>[],
  origin: O,
  options: Omit<RunOptions, 'dir' | 'programs'> & {
    open: OpenContender
    onSamples: (workload: Workload<O>, samples: Sample[]) => void
  },
): Promise<void> {
  const { rounds, isQuick, startGenerator, progress, signal } = options
  await using pool = createPool(options.open)
  for (const workload of workloads) {
    progress(`── ${workload.id}: ${workload.title}`)
    const names = workload.contenders.filter((name) => options.contenders.includes(name))
    for (let round = 1; round <= rounds; round++) {
      for (const name of names) {
        signal.throwIfAborted()
        // No workload starts with the memory that another one left behind.
        if (round === 1 || workload.isFresh) await pool.close(name)
        const contender = await pool.get(name)
        const samples = await workload.run({
          round,
          contender,
          origin,
          startGenerator,
          signal,
          seconds: isQuick ? seconds.quick : seconds.full,
          isQuick,
        })
        options.onSamples(workload, samples)
        for (const sample of samples) {
          progress(`${workload.id} ${round}/${rounds} ${name}: ${brief(workload, sample)}`)
        }
      }
    }
  }
}

/** Contenders stay open while they are needed again, and are opened when they are first needed. */
function createPool(open: OpenContender) {
  const live = new Map<ContenderName, Contender>()
  async function close(name: ContenderName): Promise<void> {
    const contender = live.get(name)
    live.delete(name)
    await contender?.[Symbol.asyncDispose]()
  }
  return {
    close,
    async get(name: ContenderName): Promise<Contender> {
      const contender = live.get(name) ?? (await open(name))
      live.set(name, contender)
      return contender
    },
    async [Symbol.asyncDispose]() {
      for (const name of [...live.keys()].toReversed()) await close(name)
    },
  }
}

function brief(workload: Pick<Workload, 'columns'>, { phase, figures }: Sample): string {
  const known = workload.columns.filter(({ figure }) => figures[figure] !== undefined)
  const parts = known.map(({ figure, label }) => `${label} ${format(figures[figure] as number)}`)
  return `${phase === '' ? '' : `${phase}, `}${parts.join(', ')}`
}
