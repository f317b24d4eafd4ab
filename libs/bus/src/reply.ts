import { AgentError, parseErrorCode, parseHop } from '@agent/contracts'
import * as z from 'zod'

/** How an answer travels: the output, or what prevented it. */
export const Reply = z.union([
  z.strictObject({ ok: z.literal(true), output: z.unknown() }),
  z.strictObject({
    ok: z.literal(false),
    code: z.string(),
    message: z.string(),
    hop: z.string(),
    retryAfterMs: z.number().optional(),
  }),
])
export type Reply = z.infer<typeof Reply>

const maxMessageCharacters = 4_096

/** An error as a reply, which always fits a message. */
export function failure(error: unknown): Reply {
  const { code, message, hop, retryAfterMs } = AgentError.from(error, 'link')
  const text = message.slice(0, maxMessageCharacters)
  return {
    ok: false,
    code,
    message: text,
    hop,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

/** The output of a reply, parsed; throws what the far side failed with. */
export function unwrap<O extends z.ZodType>(reply: Reply, output: O): z.output<O> {
  if (reply.ok) return output.parse(reply.output)
  throw new AgentError(parseErrorCode(reply.code), reply.message, {
    hop: parseHop(reply.hop, 'link'),
    retryAfterMs: reply.retryAfterMs,
  })
}
