import type { z } from 'zod'

/** A question one sidecar answers for another: its subject and the shapes both ends parse. */
export type RequestContract<Input extends z.ZodType, Output extends z.ZodType> = {
  subject: `agent.${string}`
  input: Input
  output: Output
}

/** Something that happened, told to whoever listens. */
export type EventContract<Payload extends z.ZodType> = {
  subject: `agent.${string}`
  payload: Payload
}

/** Names a request and its shapes. */
export function defineRequest<Input extends z.ZodType, Output extends z.ZodType>(
  contract: RequestContract<Input, Output>,
): RequestContract<Input, Output> {
  return contract
}

/** Names an event and its shape. */
export function defineEvent<Payload extends z.ZodType>(
  contract: EventContract<Payload>,
): EventContract<Payload> {
  return contract
}
