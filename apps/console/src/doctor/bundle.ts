import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'

import { AgentError } from '@agent/contracts'
import { build } from '@agent/sidecar'
import { pack } from 'tar-stream'

import type { Connectivity } from './connectivity.ts'
import type { DoctorOptions } from './options.ts'
import { redactSettings, redactText, secretsOf } from './redact.ts'

const askMs = 10_000
const maxAnswerBytes = 8_388_608
/** What a running console is asked for, and what the answers are called. */
const answers = {
  'status.json': '/api/health/detailed',
  'features.json': '/api/status/features',
  'connectivity-of-agent.json': '/api/status/connectivity',
  'events.json': '/api/events',
  'history.json': '/api/metrics/history',
  'runtime.json': '/api/metrics/runtime',
  'metrics.txt': '/metrics',
} as const

/** Writes a support bundle: everything that helps to see what is wrong, nothing that is secret. */
export async function writeBundle(
  file: string,
  { options, found }: { options: DoctorOptions; found: Connectivity },
): Promise<void> {
  const secrets = await secretsOf(options.given)
  const entries: Record<string, string> = {
    'versions.json': json({
      ...build,
      node: process.version,
      platform: process.platform,
      arch: process.arch,
    }),
    'configuration.json': json(redactSettings(options.given)),
    'connectivity.json': json(found),
    ...(await askConsole(options)),
  }
  const tar = pack()
  for (const [name, text] of Object.entries(entries)) {
    tar.entry({ name: `pipeops-agent/${name}`, mode: 0o600 }, redactText(text, secrets))
  }
  tar.finalize()
  try {
    await pipeline(tar, createGzip(), createWriteStream(file, { mode: 0o600 }))
  } catch (cause) {
    const { code = 'unwritable' } = cause as NodeJS.ErrnoException
    throw new AgentError('bad-request', `--bundle: cannot write ${file} (${code})`, { cause })
  }
}

async function askConsole({ settings }: DoctorOptions): Promise<Record<string, string>> {
  const { CONSOLE_URL: url, CONSOLE_TOKEN_FILE: file } = settings
  const token = file === undefined ? '' : (await readFile(file, 'utf8').catch(() => '')).trim()
  const entries = await Promise.all(
    Object.entries(answers).map(async ([name, path]) => {
      try {
        const response = await fetch(url.replace(/\/+$/, '') + path, {
          headers: token === '' ? {} : { authorization: `Bearer ${token}` },
          signal: AbortSignal.timeout(askMs),
        })
        return [name, (await response.text()).slice(0, maxAnswerBytes)] as const
      } catch (cause) {
        return [name, `the console at ${url} did not answer: ${(cause as Error).message}`] as const
      }
    }),
  )
  return Object.fromEntries(entries)
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}
