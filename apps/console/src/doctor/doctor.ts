import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { tryCluster, tryControlPlane } from '@agent/checks'
import { AgentError, type CheckStep } from '@agent/contracts'
import { openApiServer } from '@agent/kube'

import { writeBundle } from './bundle.ts'
import { type Connectivity, summarize } from './connectivity.ts'
import { type DoctorOptions, readOptions, usage } from './options.ts'

/** Where `npm start` leaves what its agent was started with. */
const startedFile = join(import.meta.dirname, '../../../../.run/doctor.json')
const marks = { ok: '✓', warn: '!', fail: '✗', skip: '·' } as const

/** Tests the way without a browser; the last line is one of advice. Returns the exit code. */
export async function runDoctor(
  argv: string[],
  environment: Record<string, string | undefined>,
  write: (text: string) => void = (text) => void process.stdout.write(text),
): Promise<number> {
  let options
  try {
    options = await readOptions(argv, environment, startedFile)
  } catch (cause) {
    write(`${AgentError.from(cause, 'client').message}\n\n${usage}\n`)
    return 2
  }
  if (options === 'help') {
    write(`${usage}\n`)
    return 0
  }
  const found = await examine(options)
  if (options.isJson) write(`${JSON.stringify(found, null, 2)}\n`)
  else for (const step of found.steps) write(line(step))
  if (options.bundle !== undefined) {
    try {
      await writeBundle(options.bundle, { options, found })
    } catch (cause) {
      write(`\n${AgentError.from(cause, 'client').message}\n`)
      return 2
    }
    if (!options.isJson) write(`\nwrote ${options.bundle}: read it before you send it\n`)
  }
  if (!options.isJson) write(`\n${conclusion(found)}\n`)
  return found.verdict === 'fail' ? 1 : 0
}

async function examine(options: DoctorOptions): Promise<Connectivity> {
  const started = { at: new Date(), ms: performance.now() }
  const [outside, inside] = await Promise.all([
    examineControlPlane(options),
    examineCluster(options),
  ])
  return summarize([...outside, ...inside], started)
}

async function examineControlPlane({ settings }: DoctorOptions): Promise<CheckStep[]> {
  const { PIPEOPS_API_URL: url, PIPEOPS_TOKEN: token, PIPEOPS_TOKEN_FILE: file } = settings
  if (url === undefined) return [skipped('control plane', 'connection', 'no --api-url was given')]
  if (token === undefined && file === undefined) {
    return [
      failed('token', 'link', 'no agent token was given', 'Give --token-file or PIPEOPS_TOKEN.'),
    ]
  }
  try {
    const ca = settings.PIPEOPS_CA_FILE
    return await tryControlPlane({
      url,
      token: file === undefined ? (token as string) : (await readFile(file, 'utf8')).trim(),
      ca: ca === undefined ? undefined : await readFile(ca, 'utf8'),
    })
  } catch (cause) {
    const { code = 'unreadable', path = 'a file' } = cause as NodeJS.ErrnoException
    return [failed('files', 'link', `cannot read ${path} (${code})`, 'Correct the path.')]
  }
}

async function examineCluster({ settings }: DoctorOptions): Promise<CheckStep[]> {
  const isNamed =
    settings.PIPEOPS_KUBECONFIG !== undefined ||
    settings.KUBERNETES_URL !== undefined ||
    settings.KUBERNETES_SERVICE_HOST !== undefined
  if (!isNamed) return [skipped('api server', 'api-server', 'no cluster was named')]
  try {
    await using api = await openApiServer(settings)
    return await tryCluster(api, { impersonate: settings.PROXY_IMPERSONATE === 'true' })
  } catch (cause) {
    const { message, advice } = AgentError.from(cause, 'proxy')
    return [failed('credentials', 'proxy', message, advice)]
  }
}

function skipped(name: string, hop: CheckStep['hop'], text: string): CheckStep {
  return { name, hop, verdict: 'skip', durationMs: 0, text, advice: '' }
}

function failed(name: string, hop: CheckStep['hop'], text: string, advice: string): CheckStep {
  return { name, hop, verdict: 'fail', durationMs: 0, text, advice }
}

function line({ name, verdict, durationMs, text, advice }: CheckStep): string {
  const time = verdict === 'skip' ? '' : `${durationMs} ms`
  const hint = advice === '' ? '' : `\n${' '.repeat(18)}→ ${advice}`
  return `${marks[verdict]} ${name.padEnd(15)} ${text}${time === '' ? '' : `  (${time})`}${hint}\n`
}

function conclusion({ verdict, brokenHop, advice, steps }: Connectivity): string {
  if (verdict === 'fail') return `Broken at: ${brokenHop}. ${advice}`
  if (verdict === 'warn') return `It works, with a remark: ${advice}`
  if (steps.every(({ verdict: each }) => each === 'skip'))
    return 'Nothing was tested: say what to test (--help).'
  return 'Everything that was tested works.'
}
