import { consoleSidecar } from '@agent/console'
import { linkSidecar } from '@agent/link'
import { proxySidecar } from '@agent/proxy'
import type { Sidecar } from '@agent/sidecar'

import { type Config, hosted } from './config.ts'

const sidecars = { link: linkSidecar, proxy: proxySidecar, console: consoleSidecar }

/** Hosts the whole agent in one process, on a bus in memory. */
export async function startEdge({ config, host }: Sidecar<Config>): Promise<void> {
  const wanted = hosted.filter((name) => config.EDGE_SIDECARS.includes(name))
  await host(wanted.map((name) => sidecars[name]))
}
