import { runSidecar } from '@agent/sidecar'

import { Config } from './config.ts'
import { startControlPlane } from './control-plane.ts'

await runSidecar({
  name: 'control-plane',
  config: Config,
  bus: 'none',
  defaultHealthPort: 8083,
  start: startControlPlane,
})
