import type { ProcessUsage } from './processes.ts'
import { median } from './stats.ts'

/** The ways to the origin that are compared. */
export const contenderNames = ['direct', 'ssh', 'product'] as const
export type ContenderName = (typeof contenderNames)[number]

/** One measurement: raw, as it goes into the results file. */
export type Sample = {
  round: number
  contender: ContenderName
  /** What was done, where a workload does several things: `down`, `up`, `stalled`. */
  phase: string
  figures: Record<string, number>
  processes: ProcessUsage[]
}

/** One line of the closing table: a target, what was measured, and whether it is met. */
export type Verdict = { target: string; measured: string; isMet: boolean; shortfall: string }

/** The median of a figure over the rounds; NaN where it was not measured. */
export function figure(
  samples: readonly Sample[],
  contender: ContenderName,
  name: string,
  phase?: string,
): number {
  const values = samples
    .filter((each) => each.contender === contender && (phase === undefined || each.phase === phase))
    .map(({ figures }) => figures[name] ?? Number.NaN)
  return median(values)
}

/** Judges `value <= limit`; undefined where one of them was not measured. */
export function atMost(
  target: string,
  value: number,
  limit: number,
  unit: string,
): Verdict | undefined {
  return judge(target, value, limit, unit, value <= limit)
}

/** Judges `value >= limit`; undefined where one of them was not measured. */
export function atLeast(
  target: string,
  value: number,
  limit: number,
  unit: string,
): Verdict | undefined {
  return judge(target, value, limit, unit, value >= limit)
}

function judge(
  target: string,
  value: number,
  limit: number,
  unit: string,
  isMet: boolean,
): Verdict | undefined {
  if (Number.isNaN(value) || Number.isNaN(limit)) return undefined
  const percent = Math.abs((value / limit - 1) * 100)
  return {
    target,
    measured: `${format(value)} ${unit}, limit ${format(limit)} ${unit}`,
    isMet,
    shortfall: isMet ? '' : `${percent.toFixed(percent < 10 ? 1 : 0)} %`,
  }
}

/** A number as people read it: three significant digits, or whole with separators. */
export function format(value: number): string {
  if (Number.isNaN(value)) return '–'
  if (Math.abs(value) >= 1_000) return Math.round(value).toLocaleString('en-US')
  return Number(value.toPrecision(3)).toString()
}

/** The process of the product that grew the most over its size at the workload's start, and by how much. */
export function mostGrown(
  samples: readonly Sample[],
  phase?: string,
): { name: string; bytes: number } {
  const first = new Map<number, number>()
  let most = { name: 'no process', bytes: Number.NaN }
  for (const { contender, processes, phase: its } of samples) {
    if (contender !== 'product') continue
    for (const { pid, name, side, rssBeforeBytes, rssPeakBytes } of processes) {
      if (side !== 'path') continue
      const before = first.get(pid) ?? rssBeforeBytes
      first.set(pid, before)
      if (phase !== undefined && its !== phase) continue
      const bytes = rssPeakBytes - before
      if (!(bytes <= most.bytes)) most = { name, bytes }
    }
  }
  return most
}
