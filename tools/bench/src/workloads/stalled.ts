import { atMost, figure, type Sample } from '../sample.ts'
import type { Turn, Workload } from '../workload.ts'
import { judgeGrowth } from './body.ts'
import { smallGets } from './small.ts'

const clients = 16
const seconds = 60

/** One client stops reading a large body; nobody else may notice. */
export const stalled: Workload = {
  id: 'stalled',
  turnSeconds: { full: 127, quick: 12 },
  title: `${clients} clients on small GETs, before and while one is stalled on a 1 GB body`,
  contenders: ['product'],
  columns: [
    { figure: 'rps', label: 'req/s' },
    { figure: 'p50Ms', label: 'p50 ms' },
    { figure: 'p99Ms', label: 'p99 ms' },
    { figure: 'maxMs', label: 'max ms' },
  ],
  per: { figure: 'requests', amount: 10_000, label: 'CPU-s/10k' },
  async run(turn) {
    const before = await others(turn, 'before')
    await using stalled = await turn.startGenerator({
      mode: 'stall',
      ...turn.origin.bodies['1g'],
      ...turn.contender.target,
    })
    const during = await others(turn, 'stalled')
    // It must have been there to the end: what was given up on would prove nothing.
    await stalled.go()
    return [before, during]
  },
  judge: (samples) => [
    atMost(
      'p99 of the others within 10 % of before',
      figure(samples, 'product', 'p99Ms', 'stalled'),
      1.1 * figure(samples, 'product', 'p99Ms', 'before'),
      'ms',
    ),
    // From the first stalled minute on: what a busy process weighs anyway is no cost of who stalls.
    judgeGrowth(samples.filter(({ phase }) => phase === 'stalled')),
  ],
}

function others(turn: Turn, phase: string): Promise<Sample> {
  return smallGets(turn, {
    phase,
    concurrency: clients,
    ...turn.origin.small,
    seconds: turn.isQuick ? turn.seconds : seconds,
  })
}
