import { runSidecar } from '@agent/sidecar'

import { Config } from './config.ts'
import { startLink } from './link.ts'

await runSidecar({ name: 'link', config: Config, defaultHealthPort: 8081, start: startLink })
