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

/** Where settings come from: `process.env`, but in tests. */
export type Environment = Record<string, string | undefined>

/** Reads settings from the environment; throws one `config-invalid` that names every problem and no value. */
export function readConfig<S extends z.ZodType>(schema: S, environment: Environment): z.output<S> {
  return readAll([[schema]], environment)[0] as z.output<S>
}

/** Reads each sidecar's own settings and the common ones, and names the problems of all at once. */
export function readSidecarConfigs(
  schemas: readonly z.ZodType[],
  environment: Environment,
): CommonConfig[] {
  const pairs = schemas.map((schema) => [schema, CommonConfig])
  return readAll(pairs, environment) as CommonConfig[]
}

function readAll(groups: readonly z.ZodType[][], environment: Environment): object[] {
  // An empty variable is how a manifest says "not set".
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const problems = new Set<string>()
  const configs = groups.map((schemas) => {
    const config: object = {}
    for (const schema of schemas) {
      const parsed = schema.safeParse(set)
      Object.assign(config, parsed.data)
      for (const issue of parsed.error?.issues ?? []) {
        const name = issue.path.join('.') || 'settings'
        const isMissing = issue.code === 'invalid_type' && set[name] === undefined
        problems.add(`  ${name}: ${isMissing ? 'is required' : describe(issue)}`)
      }
    }
    return config
  })
  if (problems.size === 0) return configs
  throw new AgentError('config-invalid', `invalid configuration:\n${[...problems].join('\n')}`)
}

/** zod's own words name the rule, never the value, except where they list allowed ones. */
function describe(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.join(', ')}`
  return issue.message
}
