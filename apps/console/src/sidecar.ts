import type { SidecarOptions } from '@agent/sidecar'

import { Config } from './config.ts'
import { startConsole } from './console.ts'

/** Diagnostics over HTTP. */
export const consoleSidecar = {
  name: 'console',
  config: Config,
  defaultHealthPort: 8084,
  start: startConsole,
} satisfies SidecarOptions<typeof Config>
