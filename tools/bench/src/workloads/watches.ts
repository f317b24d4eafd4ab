import { setTimeout as delay } from 'node:timers/promises'

import { measure, residentBytes } from '../processes.ts'
import { atMost, figure, type Sample } from '../sample.ts'
import type { Turn, Workload } from '../workload.ts'
import { smallGets } from './small.ts'

const streams = 1_000
const maxKilobytes = 40
const maxDelayMs = 50

/** Many open watches, first silent, then with one event of 1 KiB a second each. */
export const watches: Workload = {
  id: 'watches',
  turnSeconds: { full: 46, quick: 22 },
  title: `${streams.toLocaleString('en-US')} watches, idle, then one event a second each`,
  contenders: ['direct', 'ssh', 'product'],
  isFresh: true,
  columns: [
    { figure: 'kilobytes', label: 'KB/stream (most of a process)' },
    { figure: 'p50Ms', label: 'delay p50 ms' },
    { figure: 'p99Ms', label: 'delay p99 ms' },
    { figure: 'maxMs', label: 'max ms' },
    { figure: 'events', label: 'events' },
  ],
  per: { figure: 'events', amount: 10_000, label: 'CPU-s/10k' },
  run: runWatches,
  judge: (samples) => [
    ...['idle', 'events'].map((phase) =>
      atMost(
        `${phase}: ≤ ${maxKilobytes} KB a stream in each process`,
        figure(samples, 'product', 'kilobytes', phase),
        maxKilobytes,
        'KB',
      ),
    ),
    atMost(
      `event delay p99 ≤ ${maxDelayMs} ms`,
      figure(samples, 'product', 'p99Ms', 'events'),
      maxDelayMs,
      'ms',
    ),
  ],
}

async function runWatches(turn: Turn): Promise<Sample[]> {
  const { round, contender, origin, signal } = turn
  await origin.setEvents(false)
  // Warm code weighs something with or without watches.
  await smallGets(turn, { concurrency: 16, ...origin.small, seconds: turn.isQuick ? 2 : 5 })
  await delay(turn.isQuick ? 1_000 : 3_000, undefined, { signal })
  const empty = await residentBytes(contender.processes)
  const perStream = (bytes: Map<number, number>): number =>
    Math.max(
      ...[...bytes].map(([pid, now]) => (now - (empty.get(pid) ?? now)) / 1_000 / streams),
      0,
    )

  await using generator = await turn.startGenerator({
    mode: 'watch',
    path: origin.eventsPath,
    count: streams,
    durationMs: turn.seconds * 2_000,
    ...contender.target,
  })
  const everybody = [
    ...contender.processes,
    ...origin.processes,
    { name: 'generator', pid: generator.pid, side: 'generator' as const },
  ]
  const idle = await measure(everybody, () => delay(turn.seconds * 1_000, undefined, { signal }))
  const kilobytesIdle = perStream(await residentBytes(contender.processes))

  const busy = await measure(everybody, async () => {
    await origin.setEvents(true)
    return generator.go()
  })
  await origin.setEvents(false)
  const peaks = new Map(busy.processes.map(({ pid, rssPeakBytes }) => [pid, rssPeakBytes]))
  for (const pid of peaks.keys()) if (!empty.has(pid)) peaks.delete(pid)
  const expected = streams * turn.seconds * 2
  // The first and the last second are not whole.
  if ((busy.result['events'] ?? 0) < expected - 2 * streams) {
    throw new Error(`of ${expected} events only ${busy.result['events']} came`)
  }
  const common = { round, contender: contender.name }
  return [
    {
      ...common,
      phase: 'idle',
      figures: { kilobytes: kilobytesIdle },
      processes: idle.processes,
    },
    {
      ...common,
      phase: 'events',
      figures: { ...busy.result, kilobytes: perStream(peaks) },
      processes: busy.processes,
    },
  ]
}
