import { contenderNames, format, type Sample, type Verdict } from './sample.ts'
import { median, summarize } from './stats.ts'
import type { Workload } from './workload.ts'

/** What the table says about one workload. */
export type Report = {
  workload: Pick<Workload, 'id' | 'title' | 'columns' | 'per'>
  samples: Sample[]
  verdicts: Verdict[]
  /** Why it was not measured. */
  skipped?: string
}

/** One workload as text: a line per contender and phase, what each process took, and the targets. */
export function renderReport({ workload, samples, verdicts, skipped }: Report): string {
  const lines = [`${workload.id} · ${workload.title}`]
  if (skipped !== undefined) return `${lines[0]}\n  skipped: ${skipped}\n`
  const groups = groupSamples(samples)
  const { columns, per } = workload
  const header = ['', ...columns.map(({ label }) => label), `${per.label} way`, `${per.label} all`]
  const rows = groups.map(({ label, samples: group }) => [
    label,
    ...columns.map(({ figure }) => spread(group, (sample) => sample.figures[figure])),
    spread(group, (sample) => cpuPer(sample, per, ['path'])),
    spread(group, (sample) => cpuPer(sample, per, ['path', 'origin'])),
  ])
  lines.push(...align([header, ...rows]))
  for (const { label, samples: group } of groups) {
    const text = processes(group, per)
    if (text !== '') lines.push(`  ${label}: ${text}`)
  }
  for (const { target, measured, isMet, shortfall } of verdicts) {
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
  const values = samples.map(pick).filter((value) => value !== undefined && !Number.isNaN(value))
  if (values.length === 0) return '–'
  const { median: middle, min, max } = summarize(values as number[])
  return values.length === 1 ? format(middle) : `${format(middle)} (${format(min)}–${format(max)})`
}

function cpuPer(sample: Sample, per: Workload['per'], sides: string[]): number | undefined {
  const amount = sample.figures[per.figure]
  if (amount === undefined) return undefined
  const cpuSeconds = sample.processes
    .filter(({ side }) => sides.includes(side))
    .reduce((sum, each) => sum + each.cpuSeconds, 0)
  return (cpuSeconds / amount) * per.amount
}

/** CPU (median) and peak memory (most) of each process; a process's children by name. */
function processes(samples: Sample[], per: Workload['per']): string {
  const names = [...new Set(samples.flatMap((sample) => sample.processes.map(({ name }) => name)))]
  return names
    .map((name) => {
      const each = samples.map((sample) => ({
        sample,
        own: sample.processes.filter((process) => process.name === name),
      }))
      const cpu = median(
        each.map(({ sample, own }) => cpuPer({ ...sample, processes: own }, per, sidesOfAll) ?? 0),
      )
      const used = each.flatMap(({ own }) => own)
      const peak = Math.max(...used.map(({ rssPeakBytes }) => rssPeakBytes)) / 2 ** 20
      const hasWork = used.some(({ cpuSeconds }) => cpuSeconds > 0)
      return hasWork ? `${name} ${format(cpu)} ${per.label}, peak ${Math.round(peak)} MiB` : ''
    })
    .filter(Boolean)
    .join(' · ')
}

const sidesOfAll = ['path', 'origin', 'generator']

function align(rows: string[][]): string[] {
  const widths = (rows[0] as string[]).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] as string).length)),
  )
  return rows.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] as number)).join('  ')}`.trimEnd(),
  )
}
