import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { takeOwnerLock, untilStopped } from '@agent/toolbox'

import { loopback, openContender } from './contenders.ts'
import { type Flags, readFlags, usage } from './flags.ts'
import { buildGenerator, createGenerators } from './generator.ts'
import { startExecOrigin, startKubeOrigin } from './kube-origin.ts'
import { foreignOrigin, openKubeconfig } from './kubeconfig-pair.ts'
import { runInNamespace, whyNoNamespace } from './namespace.ts'
import { type Origin, startNginx } from './origin.ts'
import { renderProfiles } from './profiles.ts'
import { findPrograms } from './programs.ts'
import { writeResults } from './results.ts'
import { type RunOptions, runWorkloads } from './run.ts'
import type { Sample } from './sample.ts'
import type { Report } from './table.ts'
import { versions } from './versions.ts'
import type { Workload } from './workload.ts'
import { body100m, body1g } from './workloads/body.ts'
import { exec } from './workloads/exec.ts'
import { far } from './workloads/far.ts'
import { kubeC1, kubeC64, smallC1, smallC64 } from './workloads/small.ts'
import { stalled } from './workloads/stalled.ts'
import { watches } from './workloads/watches.ts'

const root = join(import.meta.dirname, '../../..')
const onNginx = [smallC1, smallC64, body100m, body1g, stalled, watches]
const onKube = [kubeC1, kubeC64]
const ids = [...onNginx, far, ...onKube, exec].map(({ id }) => id)

/** Measures direct, OpenSSH and the product side by side; a missed target does not change the exit code. */
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
  progress(`this takes about ${estimateMinutes(flags)} min`)
  await using scope = new AsyncDisposableStack()
  const dir = await takeDir(scope)
  const programs = await findPrograms(scope, progress)
  const program = await buildGenerator(dir)
  const startGenerator = createGenerators(program, signal)
  const profileDir = flags.isProfiled ? join(dir, 'profiles') : undefined
  if (profileDir !== undefined) await rm(profileDir, { recursive: true, force: true })
  const options: RunOptions = {
    ...flags,
    ...{ dir, programs, startGenerator, profileDir, progress, signal },
  }
  const reports = createReports()
  try {
    await measureOnNginx(flags, options, reports)
    await measureFarAway(flags, { ...options, program }, reports)
    await measureOnKube(flags, options, reports)
    await measureExec(flags, options, reports)
  } finally {
    // What was measured before something failed is not lost.
    const facts = { flags, startedAt, versions: await versions(programs) }
    await writeResults(join(root, 'bench-results'), reports.all(), facts)
    if (profileDir !== undefined) process.stdout.write(await renderProfiles(profileDir))
  }
}

function estimateMinutes(flags: Flags): number {
  const seconds = wanted([...onNginx, far, ...onKube, exec], flags).map((workload) => {
    const contenders = workload.contenders.filter((name) => flags.contenders.includes(name))
    const { full, quick } = workload.turnSeconds
    return contenders.length * flags.rounds * (flags.isQuick ? quick : full)
  })
  return Math.ceil(seconds.reduce((sum, each) => sum + each, 0) / 60)
}

type Reports = ReturnType<typeof createReports>

function createReports() {
  const reports = new Map<string, Report>()
  function of<O extends Origin>(workload: Workload<O>): Report {
    const report = reports.get(workload.id) ?? { workload, samples: [] }
    reports.set(workload.id, report)
    return report
  }
  return {
    of,
    all: () => [...reports.values()],
    add<O extends Origin>(workload: Workload<O>, samples: Sample[]): void {
      of(workload).samples.push(...samples)
    },
  }
}

function wanted<W extends { id: string }>(list: readonly W[], flags: Flags): W[] {
  return list.filter(({ id }) => flags.only.includes(id))
}

async function measureOnNginx(flags: Flags, options: RunOptions, reports: Reports): Promise<void> {
  const workloads = wanted(onNginx, flags)
  if (workloads.length === 0) return
  const filesDir = join(options.dir, 'files')
  await using origin = await startNginx({ ...options, filesDir, host: loopback.host })
  await runWorkloads(workloads, origin, {
    ...options,
    open: (name) => openContender(name, { ...options, origin, link: loopback }),
    onSamples: reports.add,
  })
}

async function measureFarAway(
  flags: Flags,
  options: RunOptions & { program: string },
  reports: Reports,
): Promise<void> {
  if (wanted([far], flags).length === 0) return
  const why = await whyNoNamespace()
  if (why !== undefined) {
    reports.of(far).skipped = why
    return
  }
  const { dir, programs, program: generator, rounds, isQuick, contenders, profileDir } = options
  const spec = { programs, generator, rounds, isQuick, contenders, profileDir }
  await runInNamespace(
    { ...spec, dir: join(dir, 'far'), filesDir: join(dir, 'files') },
    options,
    (sample) => reports.add(far, [sample]),
  )
}

async function measureOnKube(flags: Flags, options: RunOptions, reports: Reports): Promise<void> {
  const workloads = wanted(onKube, flags)
  if (workloads.length === 0) return
  await using origin = await startKubeOrigin(options.dir, options.progress)
  await runWorkloads(workloads, origin, {
    ...options,
    open: (name) => openContender(name, { ...options, origin, link: loopback }),
    onSamples: reports.add,
  })
}

async function measureExec(flags: Flags, options: RunOptions, reports: Reports): Promise<void> {
  if (wanted([exec], flags).length === 0) return
  const { pair } = flags
  if (pair !== undefined) {
    const dir = join(options.dir, 'pair')
    return runWorkloads([exec], foreignOrigin(pair), {
      ...options,
      open: (name) => openKubeconfig(name, name === 'direct' ? pair.direct : pair.tunnel, dir),
      onSamples: reports.add,
    })
  }
  const { origin, why } = await startExecOrigin(options.dir, options.progress)
  await using _owned = origin
  if (why !== undefined) reports.of(exec).note = `kwok stands in for the kubelet: ${why}`
  await runWorkloads([exec], origin, {
    ...options,
    open: (name) => openContender(name, { ...options, origin, link: loopback }),
    onSamples: reports.add,
  })
}

/** One benchmark at a time: two would measure each other. */
async function takeDir(scope: AsyncDisposableStack): Promise<string> {
  const dir = join(root, '.run/bench')
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const lock = await takeOwnerLock(join(dir, 'pid'))
  if (!lock.isOurs) throw new Error(`a benchmark runs already, as process ${lock.owner}`)
  scope.defer(() => lock.release())
  return dir
}
