import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { untilStopped } from '@agent/toolbox'

import { startEmbeddedCluster } from './embedded.ts'
import { startNodeCluster } from './node.ts'

const start = process.argv.includes('--node') ? startNodeCluster : startEmbeddedCluster
const progress = (message: string): void => void process.stderr.write(`${message}\n`)

process.exitCode = await untilStopped(
  async (signal) => {
    const dir = await mkdtemp(join(tmpdir(), 'pipeops-cluster-'))
    await using cluster = await start({ dir, progress, signal })
    process.stdout.write(`${cluster.kubectl} --kubeconfig ${cluster.adminKubeconfig} get pods -A\n`)
    if (!signal.aborted) await once(signal, 'abort')
  },
  { progress },
)
process.exit()
