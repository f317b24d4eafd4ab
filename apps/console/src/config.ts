import * as z from 'zod'

const Switch = z.enum(['true', 'false']).transform((value) => value === 'true')

const sidecars = ['link', 'proxy', 'console', 'tunnel', 'routes', 'monitoring'] as const

/** The console's environment. */
export const Config = z.object({
  PIPEOPS_PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(8080)
    .describe('Port of the console; 0 takes any free one.'),
  PIPEOPS_HOST: z.string().default('0.0.0.0').describe('Address the console listens on.'),
  PIPEOPS_ENABLE_SSE: Switch.default(true).describe(
    'Serve live events and logs as server-sent events.',
  ),
  PIPEOPS_ENABLE_WEBSOCKET: Switch.default(true).describe('Serve /ws.'),
  PIPEOPS_ENABLE_DASHBOARD: Switch.default(true).describe('Serve the page at /dashboard.'),
  CONSOLE_AUTH: z
    .enum(['required', 'none'])
    .default('required')
    .describe(
      'Who may read more than health, readiness, version and metrics: whoever RBAC or the token lets in, or anybody.',
    ),
  CONSOLE_TOKEN_FILE: z
    .string()
    .optional()
    .describe(
      'File with a token that opens the console, besides the cluster’s own tokens; read again when it changes.',
    ),
  CONSOLE_EXPECTS: z
    .string()
    .default('link,proxy')
    .transform((names) => names.split(',').flatMap((name) => name.trim() || []))
    .pipe(z.array(z.enum(sidecars)).min(1))
    .describe(
      `The sidecars that this installation runs (of ${sidecars.join(', ')}), with commas between; /ready asks for them, and every other one is turned off.`,
    ),
  CONSOLE_MAX_CONNECTIONS: z.coerce
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(100)
    .describe(
      'WebSocket connections at once, and as many SSE connections; half of them at most for one user.',
    ),
  CONSOLE_IDLE_SECONDS: z.coerce
    .number()
    .min(1)
    .max(3_600)
    .default(60)
    .describe('A live connection whose client takes or answers nothing for this long is ended.'),
})
export type Config = z.infer<typeof Config>
