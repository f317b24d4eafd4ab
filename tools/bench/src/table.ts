import { contenderNames, format, type Sample, type Verdict } from './sample.ts'
import { median, summarize } from './stats.ts'
import type { Workload } from './workload.ts'

/** What the table says about one workload. */
export type Report = {
  workload: Pick<Workload, 'id' | 'title' | 'columns' | 'per' | 'judge'>
  samples: Sample[]
  /** Why it was not measured. */
  skipped?: string
  /** What to know about the figures. */
  note?: string
}

/** The targets of a workload that could be judged by what was measured. */
export function verdictsOf({ workload, samples }: Report): Verdict[] {
  return workload.judge(samples).filter((verdict) => verdict !== undefined)
}

/** One workload as text: a line per contender and phase, what each process took, and the targets. */
export function renderReport(report: Report): string {
  const { workload, samples, skipped, note } = report
  const title = `${workload.id} · ${workload.title}`
  if (skipped !== undefined) return `${title}\n  skipped: ${skipped}\n`
  const groups = groupSamples(samples)
  const { columns, per } = workload
  const header = ['', ...columns.map(({ label }) => label), `${per.label} way`, 'all']
  const rows = groups.map(({ label, samples: group }) => [
    label,
    ...columns.map(({ figure }) => spread(group, (sample) => sample.figures[figure])),
    spread(group, (sample) => cpuPer(sample, per, ['path'])),
    spread(group, (sample) => cpuPer(sample, per, ['path', 'origin'])),
  ])
  const lines = [title, ...(note === undefined ? [] : [`  ${note}`]), ...align([header, ...rows])]
  for (const { label, samples: group } of groups) {
    const used = processLines(group, per)
    if (used.length > 0) lines.push(`  ${label}, each process:`, ...align(used, '    '))
  }
  for (const { target, measured, isMet, shortfall } of verdictsOf(report)) {
    const verdict = isMet ? 'meets' : `falls short by ${shortfall}`
    lines.push(`  ${isMet ? '✓' : '✗'} ${target}: ${measured} – ${verdict}`)
  }
  return `${lines.join('\n')}\n`
}

function groupSamples(samples: Sample[]): { label: string; samples: Sample[] }[] {
  const phases = [...new Set(samples.map(({ phase }) => phase))]
  return phases.flatMap((phase) =>
    contenderNames.flatMap((name) => {
      const group = samples.filter((each) => each.contender === name && each.phase === phase)
      return group.length === 0 ? [] : [{ label: `${name} ${phase}`.trim(), samples: group }]
    }),
  )
}

function spread(samples: Sample[], pick: (sample: Sample) => number | undefined): string {
  const values = samples.map(pick).filter((value) => value !== undefined)
  if (values.length === 0) return '–'
  const { median: middle, min, max } = summarize(values)
  return values.length === 1 ? format(middle) : `${format(middle)} (${format(min)}–${format(max)})`
}

function cpuPer(sample: Sample, per: Workload['per'], sides: string[]): number | undefined {
  const amount = sample.figures[per.figure]
  if (amount === undefined) return undefined
  const own = sample.processes.filter(({ side }) => sides.includes(side))
  return (cpuOf(own) / amount) * per.amount
}

function cpuOf(processes: Sample['processes']): number {
  return processes.reduce((sum, each) => sum + each.cpuSeconds, 0)
}

/** CPU (median) and memory (most) of each process that did anything. */
function processLines(samples: Sample[], per: Workload['per']): string[][] {
  const names = [...new Set(samples.flatMap((sample) => sample.processes.map(({ name }) => name)))]
  return names.flatMap((name) => {
    const own = samples.map((sample) => sample.processes.filter((each) => each.name === name))
    if (own.every((processes) => cpuOf(processes) === 0)) return []
    const shares = samples.map((sample, at) => {
      const amount = sample.figures[per.figure]
      const cpuSeconds = cpuOf(own[at] as Sample['processes'])
      return amount === undefined ? cpuSeconds : (cpuSeconds / amount) * per.amount
    })
    const unit = samples[0]?.figures[per.figure] === undefined ? 'CPU-s' : per.label
    const peak = Math.max(...own.flat().map(({ rssPeakBytes }) => rssPeakBytes)) / 2 ** 20
    return [[name, `${format(median(shares))} ${unit}`, `peak RSS ${Math.round(peak)} MiB`]]
  })
}

function align(rows: string[][], indent = '  '): string[] {
  const widths = (rows[0] as string[]).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] as string).length)),
  )
  return rows.map((row) =>
    `${indent}${row.map((cell, column) => cell.padEnd(widths[column] as number)).join('  ')}`.trimEnd(),
  )
}
