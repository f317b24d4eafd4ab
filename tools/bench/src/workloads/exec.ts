import type { KubeOrigin, Pod } from '../kube-origin.ts'
import { atLeast, atMost, figure } from '../sample.ts'
import { sampleOf, type Workload } from '../workload.ts'

const outputBytes = 200_000_000
const leastShareOfDirect = 0.6

/** Exec over WebSocket: how long until the first byte of output, and how fast a lot of output comes. */
export const exec: Workload<KubeOrigin> = {
  id: 'exec',
  turnSeconds: { full: 12, quick: 6 },
  title: 'exec: open to first byte, and 200 MB of output',
  contenders: ['direct', 'product'],
  columns: [
    { figure: 'p50Ms', label: 'open p50 ms' },
    { figure: 'p99Ms', label: 'open p99 ms' },
    { figure: 'mbps', label: 'MB/s' },
  ],
  per: { figure: 'bytes', amount: 1e9, label: 'CPU-s/GB' },
  async run(turn) {
    const { pod } = turn.origin
    const bytes = turn.isQuick ? outputBytes / 4 : outputBytes
    const open = await sampleOf(turn, 'open', {
      mode: 'exec',
      path: execPath(pod, ['echo', 'ready']),
      bytes: 'ready\n'.length,
      count: turn.isQuick ? 10 : 50,
    })
    const output = await sampleOf(turn, 'output', {
      mode: 'exec',
      path: execPath(pod, ['head', '-c', String(bytes), '/dev/zero']),
      bytes,
      count: 1,
    })
    // A handful of bytes has no throughput, and one command no percentiles.
    const { mbps: _mbps, bytes: _bytes, ...opening } = open.figures
    return [
      { ...open, figures: opening },
      { ...output, figures: pick(output.figures, ['mbps', 'seconds', 'bytes']) },
    ]
  },
  judge: (samples) => [
    atMost(
      'opens in ≤ direct + 10 ms',
      figure(samples, 'product', 'p50Ms', 'open'),
      figure(samples, 'direct', 'p50Ms', 'open') + 10,
      'ms',
    ),
    atLeast(
      `output ≥ ${leastShareOfDirect} × direct`,
      figure(samples, 'product', 'mbps', 'output'),
      leastShareOfDirect * figure(samples, 'direct', 'mbps', 'output'),
      'MB/s',
    ),
  ],
}

function execPath({ namespace, name, container }: Pod, command: string[]): string {
  const query = new URLSearchParams({ container, stdout: 'true', stderr: 'true' })
  for (const word of command) query.append('command', word)
  return `/api/v1/namespaces/${namespace}/pods/${name}/exec?${query.toString()}`
}

function pick(figures: Record<string, number>, names: string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, figures[name] ?? Number.NaN]))
}
