import { AgentError } from '@agent/contracts'
import type * as z from 'zod'

import { type Bus, maxServeMs, type Subscription } from './bus.ts'
import { decodeMessage, encodeMessage } from './message.ts'

type Server = (input: unknown, signal: AbortSignal) => Promise<unknown>

/** A bus within one process, for the edge profile and for services without sidecars. */
export function createMemoryBus(): Bus {
  const servers = new Map<string, Server[]>()
  const listeners = new Map<string, Set<(payload: unknown) => void>>()
  const closing = new AbortController()
  let turn = 0
  let refusedMessages = 0

  return {
    connected: true,
    get subscriptions() {
      return (
        [...servers.values()].flat().length +
        [...listeners.values()].reduce((sum, { size }) => sum + size, 0)
      )
    },
    get refusedMessages() {
      return refusedMessages
    },
    serve({ subject, input, output }, handler) {
      const server: Server = async (raw, signal) =>
        output.parse(await handler(input.parse(raw), signal))
      servers.set(subject, [...(servers.get(subject) ?? []), server])
      return disposable(() => {
        servers.set(
          subject,
          (servers.get(subject) ?? []).filter((other) => other !== server),
        )
      })
    },
    async request<I extends z.ZodType, O extends z.ZodType>(
      { subject, input, output }: { subject: string; input: I; output: O },
      question: z.input<I>,
      { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal },
    ): Promise<z.output<O>> {
      const candidates = servers.get(subject) ?? []
      const server = candidates[turn++ % Math.max(candidates.length, 1)]
      if (server === undefined) throw nobodyServes(subject)
      const timeout = AbortSignal.timeout(Math.min(timeoutMs, maxServeMs))
      const ended = AbortSignal.any([timeout, closing.signal, ...(signal ? [signal] : [])])
      const aborted = Promise.withResolvers<never>()
      const onAbort = (): void =>
        aborted.reject(
          timeout.aborted
            ? new AgentError('timeout', `${subject} took longer than ${timeoutMs} ms`, {
                hop: 'link',
              })
            : new AgentError('cancelled', `${subject} was cancelled`),
        )
      ended.addEventListener('abort', onAbort, { once: true })
      try {
        const answer = await Promise.race([
          server(carry(input.parse(question)), ended),
          aborted.promise,
        ])
        return output.parse(carry(answer))
      } catch (error) {
        throw AgentError.from(error, 'link')
      } finally {
        ended.removeEventListener('abort', onAbort)
      }
    },
    publish({ subject, payload }, value) {
      try {
        const carried = carry(payload.parse(value))
        for (const listener of listeners.get(subject) ?? []) queueMicrotask(() => listener(carried))
      } catch {
        refusedMessages++
      }
    },
    subscribe({ subject, payload }, handler) {
      const listener = (raw: unknown): void => {
        try {
          handler(payload.parse(raw))
        } catch {
          // Nobody waits for a listener, so its failure is counted: thrown, it would end the process.
          refusedMessages++
        }
      }
      const set = listeners.get(subject) ?? new Set()
      listeners.set(subject, set.add(listener))
      return disposable(() => void set.delete(listener))
    },
    async [Symbol.asyncDispose]() {
      closing.abort()
      servers.clear()
      listeners.clear()
    },
  }
}

/** The same limit and the same loss of identity as on a wire: nobody holds another's object. */
function carry(value: unknown): unknown {
  return (decodeMessage(encodeMessage({ value })) as { value: unknown }).value
}

/** The error of a request that no sidecar answers. */
export function nobodyServes(subject: string): AgentError {
  return new AgentError('unavailable', `no sidecar answers ${subject}`, { hop: 'link' })
}

function disposable(end: () => void): Subscription {
  return {
    async [Symbol.asyncDispose]() {
      end()
    },
  }
}
