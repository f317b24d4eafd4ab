import { atLeast, figure } from '../sample.ts'
import { sampleOf, type Workload } from '../workload.ts'

const leastMbps = 50

/** One stream over a link with a round trip of 100 ms: windows must grow to what is on its way. */
export const far: Workload = {
  id: 'rtt100',
  title: 'one stream over a round trip of 100 ms, 1 GB down, 300 MB up',
  contenders: ['direct', 'ssh', 'product'],
  columns: [
    { figure: 'mbps', label: 'MB/s' },
    { figure: 'seconds', label: 'seconds' },
  ],
  per: { figure: 'bytes', amount: 1e9, label: 'CPU-s/GB' },
  async run(turn) {
    const { bodies, uploadPath } = turn.origin
    const body = turn.isQuick ? bodies['100m'] : bodies['1g']
    const upload = { path: uploadPath, bytes: turn.isQuick ? 100_000_000 : 300_000_000 }
    return [
      await sampleOf(turn, 'down', { mode: 'download', ...body }),
      await sampleOf(turn, 'up', { mode: 'upload', ...upload }),
    ]
  },
  judge: (samples) =>
    ['down', 'up'].map((phase) =>
      atLeast(
        `${phase}: one stream ≥ ${leastMbps} MB/s`,
        figure(samples, 'product', 'mbps', phase),
        leastMbps,
        'MB/s',
      ),
    ),
}
