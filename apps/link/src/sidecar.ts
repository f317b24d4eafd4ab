import type { SidecarOptions } from '@agent/sidecar'

import { Config } from './config.ts'
import { startLink } from './link.ts'

/** The control connection. */
export const linkSidecar = {
  name: 'link',
  config: Config,
  defaultHealthPort: 8081,
  start: startLink,
} satisfies SidecarOptions<typeof Config>
