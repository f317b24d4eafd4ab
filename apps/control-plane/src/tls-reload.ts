import type { Server } from 'node:https'

import { every } from '@agent/sidecar'
import type { Logger } from 'pino'

import type { ServingTls } from './tls.ts'

const checkMs = 60_000

/** What a server's TLS contexts have in common, the first and those that follow it. */
export function secureOptions({ cert, key }: ServingTls) {
  return { cert, key, minVersion: 'TLSv1.2' as const }
}

/** Serves what `read` returns, asked again every minute; what cannot be read or used leaves the last good one. */
export function followTls(
  server: Server,
  current: ServingTls,
  read: () => Promise<ServingTls>,
  options: { log: Logger; signal: AbortSignal; intervalMs?: number },
): Promise<void> {
  const { log, signal, intervalMs = checkMs } = options
  let served = current
  let lastProblem = ''
  return every(intervalMs, signal, async () => {
    try {
      const next = await read()
      lastProblem = ''
      if (next.cert === served.cert && next.key === served.key) return
      server.setSecureContext(secureOptions(next))
      served = next
      log.info('serving certificate changed')
    } catch (cause) {
      const reason = (cause as Error).message
      if (reason !== lastProblem) log.warn({ reason }, 'serving certificate not reread')
      lastProblem = reason
    }
  })
}
