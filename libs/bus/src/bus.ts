import type { EventContract, RequestContract } from '@agent/contracts'
import type * as z from 'zod'

/** Something served or listened to, until it is disposed of. */
export type Subscription = AsyncDisposable

/** What sidecars say to each other, by contract; both ends parse. */
export type Bus = AsyncDisposable & {
  /** Answers a request; with several servers any one of them answers. The signal ends with the asker's patience. */
  serve<I extends z.ZodType, O extends z.ZodType>(
    contract: RequestContract<I, O>,
    handler: (input: z.output<I>, signal: AbortSignal) => Promise<z.input<O>>,
  ): Subscription
  /** Asks and waits; rejects with the answerer's AgentError, `unavailable` when nobody serves, or `timeout`. */
  request<I extends z.ZodType, O extends z.ZodType>(
    contract: RequestContract<I, O>,
    input: z.input<I>,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<z.output<O>>
  /** Tells whoever listens; lost when nobody does. Never throws: what cannot be carried is counted and dropped. */
  publish<P extends z.ZodType>(contract: EventContract<P>, payload: z.input<P>): void
  subscribe<P extends z.ZodType>(
    contract: EventContract<P>,
    handler: (payload: z.output<P>) => void,
  ): Subscription
  readonly connected: boolean
  /** What is served and listened to now. */
  readonly subscriptions: number
  /** Messages that did not parse, were too large, could not be carried or failed their listener, and were dropped. */
  readonly refusedMessages: number
}

/** How long a server may work on one request before its signal ends, in milliseconds. */
export const maxServeMs = 60_000
