import { expect, test } from 'vitest'

import type { ContenderName, Sample } from './sample.ts'
import { mostGrown } from './sample.ts'
import { median } from './stats.ts'
import { renderReport, verdictsOf } from './table.ts'
import { body100m } from './workloads/body.ts'
import { smallC64 } from './workloads/small.ts'

const MiB = 2 ** 20

function sample(
  contender: ContenderName,
  round: number,
  figures: Record<string, number>,
  peakMiB = 100,
): Sample {
  const common = { pid: contender.length, side: 'path' as const, rssAfterBytes: 0 }
  const name = contender === 'product' ? 'proxy-1' : contender
  const memory = { rssBeforeBytes: 90 * MiB, rssPeakBytes: peakMiB * MiB }
  return {
    round,
    contender,
    phase: '',
    figures,
    processes: [{ ...common, ...memory, name, cpuSeconds: 2 }],
  }
}

const rates = { ssh: [7_000, 8_000, 1_000], product: [9_000, 6_000, 6_400] }
const samples = (['ssh', 'product'] as const).flatMap((name) =>
  rates[name].map((rps, at) => sample(name, at + 1, { rps, requests: 20_000, p99Ms: 5 })),
)

test('targets are judged by medians of the same run, and losses are said in percent', () => {
  expect(verdictsOf({ workload: smallC64, samples })).toMatchObject([
    { isMet: false, shortfall: '8.6 %', measured: '6,400 req/s, limit 7,000 req/s' },
    { isMet: true, shortfall: '' },
  ])
})

test('a contender that was left out is not judged against', () => {
  const alone = samples.filter(({ contender }) => contender === 'product')
  expect(verdictsOf({ workload: smallC64, samples: alone })).toEqual([])
})

test('the table has median, spread, CPU for so much work, and each process', () => {
  const text = renderReport({ workload: smallC64, samples })
  expect(text).toMatch(/product +6,400 \(6,000–9,000\) .* 1 \(1–1\)/)
  expect(text).toMatch(/proxy-1 +1 CPU-s\/10k +peak RSS 100 MiB/)
  expect(text).toContain('✗ requests/s ≥ 1.0 × OpenSSH’s')
})

test('growth counts from the size at the workload’s start, over all rounds', () => {
  const rounds = [sample('product', 1, {}, 120), sample('product', 2, {}, 190)]
  const [, second] = rounds
  if (second?.processes[0]) second.processes[0].rssBeforeBytes = 150 * MiB
  expect(mostGrown(rounds)).toEqual({ name: 'proxy-1', bytes: 100 * MiB })
  const verdicts = verdictsOf({ workload: body100m, samples: rounds })
  expect(verdicts).toMatchObject([{ isMet: false, shortfall: '56 %' }])
})

test('the median of an even number of rounds lies between the two in the middle', () => {
  expect([median([4, 1, 3, 2]), median([5])]).toEqual([2.5, 5])
  expect(median([])).toBeNaN()
})
