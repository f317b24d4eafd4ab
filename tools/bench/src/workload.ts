import type { Contender } from './contenders.ts'
import type { GeneratorSpec, StartGenerator } from './generator.ts'
import type { NginxOrigin, Origin } from './origin.ts'
import { measure } from './processes.ts'
import type { ContenderName, Sample, Verdict } from './sample.ts'

/** What a workload measures one contender with, in one round. */
export type Turn<O extends Origin = NginxOrigin> = {
  round: number
  contender: Contender
  origin: O
  startGenerator: StartGenerator
  signal: AbortSignal
  /** Seconds of load per measurement; quick runs have fewer. */
  seconds: number
  isQuick: boolean
}

/** A figure in the table. */
export type Column = { figure: string; label: string }

export type Workload<O extends Origin = NginxOrigin> = {
  id: string
  title: string
  contenders: readonly ContenderName[]
  /** True where memory of a fresh process is what matters: contenders are started anew each round. */
  isFresh?: boolean
  /** About how long one contender takes for one round, set-up included. */
  turnSeconds: { full: number; quick: number }
  columns: readonly Column[]
  /** What CPU time is divided by: so much of a figure. */
  per: { figure: string; amount: number; label: string }
  run(turn: Turn<O>): Promise<Sample[]>
  judge(samples: readonly Sample[]): (Verdict | undefined)[]
}

/** Runs the generator once against the contender and measures everybody's CPU and memory meanwhile. */
export async function sampleOf(
  turn: Turn<Origin>,
  phase: string,
  spec: GeneratorSpec,
): Promise<Sample> {
  const { round, contender, origin } = turn
  await using generator = await turn.startGenerator({ ...spec, ...contender.target })
  const { result, processes } = await measure(
    [
      ...contender.processes,
      ...origin.processes,
      { name: 'generator', pid: generator.pid, side: 'generator' },
    ],
    () => generator.go(),
  )
  return { round, contender: contender.name, phase, figures: result, processes }
}
