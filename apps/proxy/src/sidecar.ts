import type { SidecarOptions } from '@agent/sidecar'

import { Config } from './config.ts'
import { startProxy } from './proxy.ts'

/** What moves bytes between the control plane and the API server. */
export const proxySidecar = {
  name: 'proxy',
  config: Config,
  defaultHealthPort: 8082,
  start: startProxy,
} satisfies SidecarOptions<typeof Config>
