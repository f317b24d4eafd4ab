import { writeFile } from 'node:fs/promises'

import { startEmbeddedCluster } from '@agent/cluster'
import { startStack } from '@agent/stack'
const dir = '/tmp/tryconsole'
await using cluster = await startEmbeddedCluster({ dir: dir + '/cluster', progress: console.error })
await using stack = await startStack({ dir: dir + '/stack', cluster, progress: console.error })
await writeFile(
  '/tmp/tryconsole/info.json',
  JSON.stringify({
    consoleUrl: stack.consoleUrl,
    tokenFile: stack.consoleTokenFile,
    cp: stack.controlPlaneUrl,
    ca: stack.caFile,
    userToken: stack.userToken,
    pids: [...stack.processes.values()].map(({ name, pid }) => ({ name, pid })),
    cluster: stack.clusterName,
  }),
)
console.error('UP')
await new Promise((r) => process.once('SIGTERM', r))
