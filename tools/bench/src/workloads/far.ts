import { atLeast, figure } from '../sample.ts'
import { sampleOf, type Workload } from '../workload.ts'

const leastMbps = 50

/** One stream over a link with a round trip of 100 ms: windows must grow to what is on its way. */
export const far: Workload = {
  id: 'rtt100',
  turnSeconds: { full: 26, quick: 9 },
  title: 'one stream over a round trip of 100 ms, 1 GB down and up',
  contenders: ['direct', 'ssh', 'product'],
  columns: [
    { figure: 'mbps', label: 'MB/s' },
    { figure: 'seconds', label: 'seconds' },
  ],
  per: { figure: 'bytes', amount: 1e9, label: 'CPU-s/GB' },
  async run(turn) {
    const { bodies, uploadPath } = turn.origin
    // OpenSSH's fixed window makes it slow from the first second on: less is enough to see it.
    const isShort = turn.isQuick || turn.contender.name === 'ssh'
    const body = isShort ? bodies['100m'] : bodies['1g']
    const upload = { path: uploadPath, bytes: body.bytes }
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
