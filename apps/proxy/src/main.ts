import { runSidecar } from '@agent/sidecar'

import { Config } from './config.ts'
import { startProxy } from './proxy.ts'

await runSidecar({ name: 'proxy', config: Config, defaultHealthPort: 8082, start: startProxy })
