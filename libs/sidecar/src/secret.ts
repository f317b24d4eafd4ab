import { readFile } from 'node:fs/promises'

import { AgentError } from '@agent/contracts'

/** Reads a secret from the file that a setting names; throws `config-invalid` naming the setting. */
export async function readSecret(setting: string, file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unreadable'
    throw new AgentError('config-invalid', `${setting}: cannot read ${file} (${reason})`, { cause })
  }
}
