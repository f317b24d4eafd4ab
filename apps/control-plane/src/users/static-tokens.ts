import { readFile } from 'node:fs/promises'

import { AgentError } from '@agent/contracts'
import type { Logger } from 'pino'

import type { UserTokenRecord } from '../store/records.ts'
import { parseTokenFile } from './token-file.ts'

/** The static users, as the file says now. */
export type StaticTokens = Disposable & {
  readonly records: readonly UserTokenRecord[]
  /** Called with what a token was when its line is gone or says something else. */
  onRemoved(listener: (before: UserTokenRecord) => void): void
}

/** Static users that never change. */
export function fixedTokens(records: readonly UserTokenRecord[] = []): StaticTokens {
  return { records, onRemoved() {}, [Symbol.dispose]() {} }
}

/**
 * Reads the file and follows its changes: asked every second, and taken when it said the same twice, because an editor
 * may be in the middle of it. A change that does not parse is logged, and the last good one stays.
 */
export async function followTokenFile(
  file: string | undefined,
  log: Logger,
  pollMs = 1_000,
): Promise<StaticTokens> {
  if (file === undefined) return fixedTokens()
  const listeners = new Set<(before: UserTokenRecord) => void>()
  let taken: string
  let records: UserTokenRecord[]
  try {
    taken = await readFile(file, 'utf8')
    records = parseTokenFile(taken)
  } catch (cause) {
    if (cause instanceof AgentError) throw cause
    throw new AgentError('config-invalid', `CONTROL_PLANE_TOKENS_FILE: cannot read ${file}`, {
      cause,
    })
  }
  let seen = taken
  let lastProblem = ''
  let isReading = false

  function take(text: string): void {
    const before = records
    records = parseTokenFile(text)
    taken = text
    const kept = new Set(records.map(meaningOf))
    for (const record of before) {
      if (!kept.has(meaningOf(record))) for (const listener of listeners) listener(record)
    }
  }
  async function look(): Promise<void> {
    if (isReading) return
    isReading = true
    try {
      const text = await readFile(file as string, 'utf8')
      if (text === seen && text !== taken) take(text)
      seen = text
      lastProblem = ''
    } catch (error) {
      const reason = (error as Error).message
      if (reason !== lastProblem) log.warn({ reason }, 'static tokens not reread')
      lastProblem = reason
    } finally {
      isReading = false
    }
  }
  const timer = setInterval(() => void look(), pollMs)
  return {
    get records() {
      return records
    },
    onRemoved: (listener) => void listeners.add(listener),
    [Symbol.dispose]() {
      clearInterval(timer)
    },
  }
}

/** Everything but the id, which is a line number and moves. */
function meaningOf({ id: _, ...rest }: UserTokenRecord): string {
  return JSON.stringify(rest)
}
