import { AgentError } from '@agent/contracts'
import type { Context } from 'hono'
import type * as z from 'zod'

/** Any failure as JSON with its code, hop and advice; never a stack, never a value that was sent. */
export function problemOf(c: Context, cause: unknown): Response {
  const error = AgentError.from(cause, 'service')
  const { status, retryAfterMs } = error
  if (retryAfterMs !== undefined) c.header('retry-after', String(Math.ceil(retryAfterMs / 1_000)))
  if (status === 401) c.header('www-authenticate', 'Bearer')
  c.header('cache-control', 'no-store')
  return c.json({ error: problemFacts(error) }, status as 500)
}

/** What a client is told of a failure. */
export function problemFacts({ code, message, hop, advice }: AgentError) {
  const told = code === 'internal' ? 'something unexpected happened in the console' : message
  return { code, message: told, hop, advice }
}

/** Parses a query string; throws one `bad-request` that names every problem. */
export function parseQuery<S extends z.ZodType>(c: Context, schema: S): z.output<S> {
  const given: Record<string, string> = {}
  for (const [name, values] of Object.entries(c.req.queries())) {
    if (values.length > 1) throw new AgentError('bad-request', `${short(name)}: is given twice`)
    given[name] = values[0] as string
  }
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(
    ({ path, message }) => `${short(path.join('.') || 'query')}: ${message}`,
  )
  throw new AgentError('bad-request', problems.join('; ').slice(0, 1_000), { hop: 'client' })
}

function short(name: string): string {
  return name.slice(0, 40)
}
