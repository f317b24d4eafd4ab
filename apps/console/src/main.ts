import { runSidecar } from '@agent/sidecar'

import { Config } from './config.ts'
import { startConsole } from './console.ts'

await runSidecar({ name: 'console', config: Config, defaultHealthPort: 8084, start: startConsole })
