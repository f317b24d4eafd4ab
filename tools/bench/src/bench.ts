import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { loopback } from './contenders.ts'
import { type Flags, readFlags, usage } from './flags.ts'
import { buildGenerator, createGenerators } from './generator.ts'
import { startKubeOrigin } from './kube-origin.ts'
import { runInNamespace, whyNoNamespace } from './namespace.ts'
import { startNginx } from './origin.ts'
import { findPrograms } from './programs.ts'
import { runWorkloads } from './run.ts'
import type { Sample } from './sample.ts'
import { untilStopped } from './stopping.ts'
import { renderReport, type Report } from './table.ts'
import { versions } from './versions.ts'
import { body100m, body1g } from './workloads/body.ts'
import { exec } from './workloads/exec.ts'
import { far } from './workloads/far.ts'
import { kubeC1, kubeC64, smallC1, smallC64 } from './workloads/small.ts'
import { stalled } from './workloads/stalled.ts'
import { watches } from './workloads/watches.ts'

const root = join(import.meta.dirname, '../../..')
const onNginx = [smallC1, smallC64, body100m, body1g, stalled, watches]
const onKube = [kubeC1, kubeC64, exec]
const ids = [...onNginx, ...onKube, far].map(({ id }) => id)

/** Measures direct, OpenSSH and the product side by side; returns the exit code, which no missed target changes. */
export async function bench(argv: string[]): Promise<number> {
  const progress = (message: string): void => void process.stderr.write(`${message}\n`)
  let flags: Flags
  try {
    flags = readFlags(argv, ids)
  } catch (error) {
    progress(`${(error as Error).message}\n${usage(ids)}`)
    return 2
  }
  return untilStopped((signal) => measureAll(flags, progress, signal), { progress })
}

async function measureAll(
  flags: Flags,
  progress: (message: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = new Date()
  await using scope = new AsyncDisposableStack()
  const dir = await takeDir(scope)
  const programs = await findPrograms(scope, progress)
  const program = await buildGenerator(dir)
  const startGenerator = createGenerators(program, signal)
  const options = { ...flags, dir, programs, startGenerator, progress, signal }
  const reports = new Map<string, Report>()
  const wanted = <W extends { id: string }>(list: W[]): W[] =>
    list.filter(({ id }) => flags.only.includes(id))
  function onSamples(workload: Report['workload'], samples: Sample[]): void {
    const report = reports.get(workload.id) ?? { workload, samples: [], verdicts: [] }
    report.samples.push(...samples)
    reports.set(workload.id, report)
  }

  try {
    const filesDir = join(dir, 'files')
    if (wanted(onNginx).length > 0) {
      await using origin = await startNginx({ ...options, filesDir, host: loopback.host })
      await runWorkloads(wanted(onNginx), origin, { ...options, link: loopback, onSamples })
    }
    if (wanted(onKube).length > 0) {
      await using origin = await startKubeOrigin(dir, progress)
      await runWorkloads(wanted(onKube), origin, { ...options, link: loopback, onSamples })
    }
    if (wanted([far]).length > 0) {
      const why = await whyNoNamespace()
      if (why === undefined) {
        const spec = { ...flags, dir: join(dir, 'far'), filesDir, programs, generator: program }
        await runInNamespace(spec, options, (sample) => onSamples(far, [sample]))
      } else {
        reports.set(far.id, { workload: far, samples: [], verdicts: [], skipped: why })
      }
    }
  } finally {
    // What was measured before something failed is not lost.
    await report([...reports.values()], { flags, startedAt, versions: await versions(programs) })
  }
}

async function report(
  reports: Report[],
  facts: { flags: Flags; startedAt: Date; versions: Record<string, string | number> },
): Promise<void> {
  const judges = [...onNginx, ...onKube, far]
  for (const each of reports) {
    const workload = judges.find(({ id }) => id === each.workload.id)
    each.verdicts = (workload?.judge(each.samples) ?? []).filter((verdict) => verdict !== undefined)
  }
  if (reports.length === 0) return
  const dir = join(root, 'bench-results')
  await mkdir(dir, { recursive: true })
  const file = join(dir, `${facts.startedAt.toISOString().replaceAll(/[:.]/g, '-')}.json`)
  const results = reports.map(({ workload: { id, title }, samples, verdicts, skipped }) => ({
    id,
    title,
    verdicts,
    samples,
    skipped,
  }))
  await writeFile(file, JSON.stringify({ ...facts, results }, undefined, 1))
  const tables = reports.map(renderReport).join('\n')
  const machine = Object.entries(facts.versions)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
  process.stdout.write(
    `\n${tables}\nmedian (least–most) of ${facts.flags.rounds} rounds; ${machine}\nraw rounds: ${file}\n`,
  )
}

/** One benchmark at a time: two would measure each other. */
async function takeDir(scope: AsyncDisposableStack): Promise<string> {
  const dir = join(root, '.run/bench')
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const lock = join(dir, 'pid')
  const owner = Number(await readFile(lock, 'utf8').catch(() => ''))
  if (owner > 0 && isAlive(owner)) throw new Error(`a benchmark runs already, as process ${owner}`)
  await writeFile(lock, String(process.pid))
  scope.defer(() => rm(lock, { force: true }))
  return dir
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
