import { atLeast, atMost, figure, mostGrown, type Sample, type Verdict } from '../sample.ts'
import { sampleOf, type Turn, type Workload } from '../workload.ts'
import { smallGets } from './small.ts'

/** A body may cost each process so much memory, whatever its size. */
const maxGrowthBytes = 64 * 2 ** 20
const leastShareOfSsh = 0.45

const common = {
  contenders: ['direct', 'ssh', 'product'],
  columns: [
    { figure: 'mbps', label: 'MB/s' },
    { figure: 'seconds', label: 'seconds' },
  ],
  per: { figure: 'bytes', amount: 1e9, label: 'CPU-s/GB' },
  judge: judgeBodies,
} as const

/** Bodies that are streamed; length and checksum are verified at the receiving end. */
export const body100m: Workload = {
  ...common,
  id: 'body-100m',
  turnSeconds: { full: 5, quick: 4 },
  title: '100 MB body, down and up',
  run: (turn) => runBodies(turn, '100m'),
}

/** Ten times as much may not cost more memory. */
export const body1g: Workload = {
  ...common,
  id: 'body-1g',
  turnSeconds: { full: 11, quick: 8 },
  title: '1 GB body, down and up',
  run: (turn) => runBodies(turn, '1g'),
}

async function runBodies(turn: Turn, size: '100m' | '1g'): Promise<Sample[]> {
  const { origin, round } = turn
  const body = origin.bodies[size]
  // What a busy process weighs anyway is no cost of the body, and the first read may find cold caches.
  if (round === 1) {
    await smallGets(turn, { concurrency: 16, ...origin.small, seconds: turn.isQuick ? 1 : 3 })
    if (turn.contender.name === 'direct')
      await sampleOf(turn, 'down', { mode: 'download', ...body })
  }
  const count = size === '100m' && !turn.isQuick ? 3 : 1
  return [
    await sampleOf(turn, 'down', { mode: 'download', ...body, count }),
    await sampleOf(turn, 'up', { mode: 'upload', ...body, path: origin.uploadPath, count }),
  ]
}

function judgeBodies(samples: readonly Sample[]): (Verdict | undefined)[] {
  const verdicts = ['down', 'up'].map((phase) =>
    atLeast(
      `${phase}: ≥ ${leastShareOfSsh} × OpenSSH’s`,
      figure(samples, 'product', 'mbps', phase),
      leastShareOfSsh * figure(samples, 'ssh', 'mbps', phase),
      'MB/s',
    ),
  )
  return [...verdicts, judgeGrowth(samples)]
}

/** Judges how much the product's processes grew over their size at the workload's start. */
export function judgeGrowth(samples: readonly Sample[]): Verdict | undefined {
  const { name, bytes } = mostGrown(samples)
  return atMost(
    `growth ≤ ${maxGrowthBytes / 2 ** 20} MiB in each process (most: ${name})`,
    bytes / 2 ** 20,
    maxGrowthBytes / 2 ** 20,
    'MiB',
  )
}
