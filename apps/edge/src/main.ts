import { runSidecar } from '@agent/sidecar'

import { Config } from './config.ts'
import { startEdge } from './edge.ts'

await runSidecar({
  name: 'edge',
  config: Config,
  bus: 'none',
  defaultHealthPort: 8081,
  start: startEdge,
})
