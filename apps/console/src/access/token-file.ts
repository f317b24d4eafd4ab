import { readSecret } from '@agent/sidecar'
import type { Logger } from 'pino'

const keptMs = 1_000

/** The console's own token as its file says now; undefined where there is none, and then nobody comes in with it. */
export type OwnToken = () => Promise<string | undefined>

/**
 * Follows a mounted Secret: read when asked, at most once a second. A file that is gone or empty is a token that was
 * taken away. Throws `config-invalid` where it cannot be read at the start.
 */
export async function openTokenFile(
  file: string | undefined,
  log: Pick<Logger, 'warn'>,
  now: () => number = () => performance.now(),
): Promise<OwnToken> {
  if (file === undefined) return async () => undefined
  const read = async (): Promise<string | undefined> =>
    (await readSecret('CONSOLE_TOKEN_FILE', file)) || undefined
  let current = Promise.resolve(await read())
  let readAtMs = now()
  let isMissing = false

  async function reread(): Promise<string | undefined> {
    try {
      const token = await read()
      isMissing = false
      return token
    } catch (error) {
      if (!isMissing) log.warn({ reason: (error as Error).message }, 'console token not readable')
      isMissing = true
      return undefined
    }
  }
  return () => {
    if (now() - readAtMs < keptMs) return current
    readAtMs = now()
    current = reread()
    return current
  }
}
