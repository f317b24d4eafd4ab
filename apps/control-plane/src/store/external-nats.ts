import { readFileSync } from 'node:fs'

import { readSecret } from '@agent/sidecar'

/** Where a NATS is, and what is asked for its token at every login. */
export type NatsAddress = { url: string; token: string | (() => string) | undefined }

/** The operator's NATS; a token that was changed in its file is used at the next login. */
export async function externalNats(
  url: string,
  tokenFile: string | undefined,
): Promise<NatsAddress> {
  if (tokenFile === undefined) return { url, token: undefined }
  let last = await readSecret('CONTROL_PLANE_NATS_TOKEN_FILE', tokenFile)
  const token = (): string => {
    try {
      last = readFileSync(tokenFile, 'utf8').trim() || last
    } catch {
      // In the middle of a swap: the last good one stays.
    }
    return last
  }
  return { url, token }
}
