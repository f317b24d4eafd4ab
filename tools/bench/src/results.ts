import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Flags } from './flags.ts'
import { type Report, renderReport, verdictsOf } from './table.ts'

/** What the figures were measured with. */
export type Facts = { flags: Flags; startedAt: Date; versions: Record<string, string | number> }

/** Writes every raw round with versions to a file of its own, and the table to stdout. */
export async function writeResults(
  dir: string,
  reports: readonly Report[],
  facts: Facts,
): Promise<void> {
  if (reports.length === 0) return
  await mkdir(dir, { recursive: true })
  const file = join(dir, `${facts.startedAt.toISOString().replaceAll(/[:.]/g, '-')}.json`)
  const results = reports.map((report) => ({
    id: report.workload.id,
    title: report.workload.title,
    skipped: report.skipped,
    note: report.note,
    verdicts: verdictsOf(report),
    samples: report.samples,
  }))
  await writeFile(file, JSON.stringify({ ...facts, results }, undefined, 1))
  const machine = Object.entries(facts.versions).map(([name, value]) => `${name} ${value}`)
  const legend = [
    ...(facts.flags.isQuick
      ? ['A quick run: shorter and smaller than what the targets mean.']
      : []),
    `Median (least–most) of ${facts.flags.rounds} rounds. CPU: "way" is what is between client and origin, "all" adds the origin.`,
    machine.join(' · '),
    `Raw rounds: ${file}`,
  ]
  process.stdout.write(`\n${reports.map(renderReport).join('\n')}\n${legend.join('\n')}\n`)
}
