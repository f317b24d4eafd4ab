import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'

import { AgentError } from '@agent/contracts'
import { KubeConfigFields } from '@agent/kube'
import * as z from 'zod'

export const usage = `doctor: tests the way from here to the control plane and to the cluster

  --api-url URL          the control plane              (PIPEOPS_API_URL)
  --token-file FILE      agent token                    (PIPEOPS_TOKEN_FILE, PIPEOPS_TOKEN)
  --ca-file FILE         CA of the control plane        (PIPEOPS_CA_FILE)
  --kubeconfig FILE      the cluster, from outside      (PIPEOPS_KUBECONFIG; inside, the ServiceAccount)
  --context NAME         its context
  --console URL          a running agent's console      (default http://127.0.0.1:8080)
  --console-token-file FILE
  --bundle FILE          write a support bundle (.tar.gz)
  --json                 print the result as JSON

Without any of these it tests what npm start runs. Exit code: 0 works, 1 broken, 2 wrong use.`

const Settings = z.object({
  ...KubeConfigFields,
  PIPEOPS_API_URL: z.url({ protocol: /^https?$/ }).optional(),
  PIPEOPS_TOKEN: z.string().optional(),
  PIPEOPS_TOKEN_FILE: z.string().optional(),
  PIPEOPS_CA_FILE: z.string().optional(),
  PROXY_IMPERSONATE: z.enum(['true', 'false']).default('true'),
  CONSOLE_URL: z.url({ protocol: /^https?$/ }).default('http://127.0.0.1:8080'),
  CONSOLE_TOKEN_FILE: z.string().optional(),
})

/** What the doctor works with. */
export type DoctorOptions = {
  settings: z.output<typeof Settings>
  /** The settings as they were given, for the bundle. */
  given: Record<string, string>
  bundle: string | undefined
  isJson: boolean
}

/**
 * Reads flags, then the environment, then (when neither says anything) what `npm start` left. Throws `bad-request` for
 * wrong use.
 */
export async function readOptions(
  argv: string[],
  environment: Record<string, string | undefined>,
  startedFile: string,
): Promise<DoctorOptions | 'help'> {
  const flags = parseFlags(argv)
  if (flags.help === true) return 'help'
  const named = {
    PIPEOPS_API_URL: flags['api-url'],
    PIPEOPS_TOKEN_FILE: flags['token-file'],
    PIPEOPS_CA_FILE: flags['ca-file'],
    PIPEOPS_KUBECONFIG: flags.kubeconfig,
    PIPEOPS_KUBE_CONTEXT: flags.context,
    CONSOLE_URL: flags.console,
    CONSOLE_TOKEN_FILE: flags['console-token-file'],
  }
  const known = Object.keys(Settings.shape)
  const given = Object.fromEntries(
    known.flatMap((name) => {
      const value = named[name as keyof typeof named] ?? environment[name]
      return value === undefined || value === '' ? [] : [[name, value] as const]
    }),
  )
  const isBare = given['PIPEOPS_API_URL'] === undefined && given['PIPEOPS_KUBECONFIG'] === undefined
  const all = isBare ? { ...(await readStarted(startedFile)), ...given } : given
  const parsed = Settings.safeParse(all)
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
    throw new AgentError('bad-request', problems.join('\n'))
  }
  return { settings: parsed.data, given: all, bundle: flags.bundle, isJson: flags.json === true }
}

function parseFlags(argv: string[]) {
  const text = { type: 'string' } as const
  try {
    return parseArgs({
      args: argv,
      options: {
        'api-url': text,
        'token-file': text,
        'ca-file': text,
        kubeconfig: text,
        context: text,
        console: text,
        'console-token-file': text,
        bundle: text,
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (cause) {
    throw new AgentError('bad-request', (cause as Error).message, { cause })
  }
}

async function readStarted(file: string): Promise<Record<string, string>> {
  const text = await readFile(file, 'utf8').catch(() => '{}')
  return z.record(z.string(), z.string()).parse(JSON.parse(text))
}
