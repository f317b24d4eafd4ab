import { watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'

import { AgentError } from '@agent/contracts'
import type { Logger } from 'pino'

import type { UserTokenRecord } from '../store/records.ts'
import { parseTokenFile } from './token-file.ts'

/** The static users, as the file says now. */
export type StaticTokens = Disposable & { readonly records: readonly UserTokenRecord[] }

/** Reads the file and follows its changes; a change that does not parse is logged, and the last good one stays. */
export async function followTokenFile(
  file: string | undefined,
  log: Logger,
): Promise<StaticTokens> {
  if (file === undefined) return { records: [], [Symbol.dispose]() {} }
  const read = async (): Promise<UserTokenRecord[]> => parseTokenFile(await readFile(file, 'utf8'))
  let records: UserTokenRecord[]
  try {
    records = await read()
  } catch (cause) {
    if (cause instanceof AgentError) throw cause
    throw new AgentError('config-invalid', `CONTROL_PLANE_TOKENS_FILE: cannot read ${file}`, {
      cause,
    })
  }
  const watcher = watch(dirname(file), { persistent: false }, () => {
    read().then(
      (next) => void (records = next),
      (error: unknown) =>
        log.warn({ reason: (error as Error).message }, 'static tokens not reread'),
    )
  })
  watcher.on('error', () => {})
  return {
    get records() {
      return records
    },
    [Symbol.dispose]() {
      watcher.close()
    },
  }
}
