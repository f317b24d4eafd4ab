import { AgentError } from '@agent/contracts'
import * as z from 'zod'

const Level = z.enum(['debug', 'info', 'warn', 'error'])

/** What every sidecar reads from its environment. */
export const CommonConfig = z.object({
  PIPEOPS_LOG_LEVEL: Level.default('info').describe('Least severe log level that is written.'),
  PIPEOPS_INSTANCE: z.string().optional().describe('Names this process; default HOSTNAME-PID.'),
  BUS_URL: z
    .url({ protocol: /^(nats|tls)$/ })
    .default('nats://127.0.0.1:4222')
    .describe('The pod’s nats-server.'),
  BUS_TOKEN_FILE: z.string().optional().describe('File that holds the bus token.'),
  HEALTH_HOST: z.string().default('0.0.0.0').describe('Address of /healthz, /readyz and /metrics.'),
  HEALTH_PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .optional()
    .describe('Port of /healthz, /readyz and /metrics; 0 takes any free one.'),
  SHUTDOWN_GRACE_SECONDS: z.coerce
    .number()
    .min(1)
    .max(600)
    .default(25)
    .describe('How long streams may go on after SIGTERM.'),
})
export type CommonConfig = z.infer<typeof CommonConfig>

/** Reads settings from the environment; throws one `config-invalid` that names every problem and no value. */
export function readConfig<S extends z.ZodType>(
  schema: S,
  environment: Record<string, string | undefined>,
): z.output<S> {
  return read([schema], environment) as z.output<S>
}

/** Reads a sidecar's own settings and the common ones, and names the problems of both at once. */
export function readSidecarConfig<S extends z.ZodType>(
  schema: S,
  environment: Record<string, string | undefined>,
): z.output<S> & CommonConfig {
  return read([schema, CommonConfig], environment) as z.output<S> & CommonConfig
}

function read(schemas: z.ZodType[], environment: Record<string, string | undefined>): object {
  // An empty variable is how a manifest says "not set".
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const config: object = {}
  const problems = new Set<string>()
  for (const schema of schemas) {
    const parsed = schema.safeParse(set)
    Object.assign(config, parsed.data)
    for (const issue of parsed.error?.issues ?? []) {
      const name = issue.path.join('.') || 'settings'
      const isMissing = issue.code === 'invalid_type' && set[name] === undefined
      problems.add(`  ${name}: ${isMissing ? 'is required' : describe(issue)}`)
    }
  }
  if (problems.size === 0) return config
  throw new AgentError('config-invalid', `invalid configuration:\n${[...problems].join('\n')}`)
}

/** zod's own words name the rule, never the value, except where they list allowed ones. */
function describe(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.join(', ')}`
  return issue.message
}
