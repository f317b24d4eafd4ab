import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { startEmbeddedCluster } from './embedded.ts'
import { startNodeCluster } from './node.ts'

const stopped = Promise.withResolvers<void>()
process.on('SIGINT', () => stopped.resolve())
process.on('SIGTERM', () => stopped.resolve())
const dir = await mkdtemp(join(tmpdir(), 'pipeops-cluster-'))
const start = process.argv.includes('--node') ? startNodeCluster : startEmbeddedCluster
await using cluster = await start({
  dir,
  progress: (message) => process.stderr.write(`${message}\n`),
})
process.stdout.write(`${cluster.kubectl} --kubeconfig ${cluster.adminKubeconfig} get pods -A\n`)
await stopped.promise
