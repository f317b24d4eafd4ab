import type { Origin } from '../origin.ts'
import { atLeast, atMost, figure, type Sample, type Verdict } from '../sample.ts'
import { sampleOf, type Turn, type Workload } from '../workload.ts'

const columns = [
  { figure: 'rps', label: 'req/s' },
  { figure: 'p50Ms', label: 'p50 ms' },
  { figure: 'p99Ms', label: 'p99 ms' },
  { figure: 'maxMs', label: 'max ms' },
]
const per = { figure: 'requests', amount: 10_000, label: 'CPU-s/10k' }
const contenders = ['direct', 'ssh', 'product'] as const

/** Small GETs in a closed loop over `concurrency` kept connections. */
export async function smallGets(
  turn: Turn<Origin>,
  options: {
    concurrency: number
    path: string
    bytes?: number
    phase?: string
    seconds?: number
  },
): Promise<Sample> {
  const { concurrency, path, bytes = 0, phase = '', seconds = turn.seconds } = options
  return sampleOf(turn, phase, {
    mode: 'load',
    path,
    bytes,
    concurrency,
    warmupMs: turn.isQuick ? 1_000 : 2_000,
    durationMs: seconds * 1_000,
  })
}

/** One client at a time: what the way adds to each request. */
export const smallC1: Workload = {
  id: 'small-c1',
  turnSeconds: { full: 16, quick: 6 },
  title: 'small GET (1 KiB), one connection',
  contenders,
  columns,
  per,
  run: async (turn) => [await smallGets(turn, { concurrency: 1, ...turn.origin.small })],
  judge: judgeOne,
}

/** As many as the way can carry. */
export const smallC64: Workload = {
  id: 'small-c64',
  turnSeconds: { full: 16, quick: 6 },
  title: 'small GET (1 KiB), 64 connections',
  contenders,
  columns,
  per,
  run: async (turn) => [await smallGets(turn, { concurrency: 64, ...turn.origin.small })],
  judge(samples) {
    const ofSsh = (name: string): number => figure(samples, 'ssh', name)
    const ours = (name: string): number => figure(samples, 'product', name)
    return [
      atLeast('requests/s ≥ 1.0 × OpenSSH’s', ours('rps'), ofSsh('rps'), 'req/s'),
      atMost('p99 ≤ OpenSSH’s', ours('p99Ms'), ofSsh('p99Ms'), 'ms'),
    ]
  },
}

function judgeOne(samples: readonly Sample[]): (Verdict | undefined)[] {
  const direct = figure(samples, 'direct', 'p50Ms')
  return [
    atMost('p50 ≤ direct + 0.8 ms', figure(samples, 'product', 'p50Ms'), direct + 0.8, 'ms'),
    atMost(
      'p99 below OpenSSH’s',
      figure(samples, 'product', 'p99Ms'),
      figure(samples, 'ssh', 'p99Ms'),
      'ms',
    ),
  ]
}

/** The same against a real API server, for realism: no target, because there it is mostly the API server's time. */
export const kubeC1: Workload<Origin> = {
  id: 'kube-c1',
  turnSeconds: { full: 16, quick: 6 },
  title: 'GET of a Namespace from a real kube-apiserver, one connection',
  contenders,
  columns,
  per,
  run: async (turn) => [
    await smallGets(turn, { concurrency: 1, path: '/api/v1/namespaces/default' }),
  ],
  judge: () => [],
}

export const kubeC64: Workload<Origin> = {
  id: 'kube-c64',
  turnSeconds: { full: 16, quick: 6 },
  title: 'GET of a Namespace from a real kube-apiserver, 64 connections',
  contenders,
  columns,
  per,
  run: async (turn) => [
    await smallGets(turn, { concurrency: 64, path: '/api/v1/namespaces/default' }),
  ],
  judge: () => [],
}
