import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import { AgentError, CanaryOpen, defaultWindows } from '@agent/contracts'
import {
  FrameType,
  type Session,
  type SessionStats,
  type Stream,
  type StreamHandler,
} from '@agent/streams'
import { runSession } from '@agent/uplink'
import type { Logger } from 'pino'
import { WebSocketServer } from 'ws'

import type { TicketClaims } from './ports.ts'

const maxMessageBytes = 2_097_152
/** An end longer ago than this is forgotten: nobody asks for it any more. */
const rememberedMs = 300_000

type Connection = { session: Session; claims: TicketClaims; since: string }

/** The agents' stream connections: what requests travel on. */
export type StreamConnections = {
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, claims: TicketClaims): void
  /** The connection with the fewest streams of a cluster; undefined where it has none. */
  pick(clusterId: string): Session | undefined
  /** The same once there is one, undefined after `waitMs`; throws `draining`, or the signal's reason. */
  waitForOne(clusterId: string, waitMs: number, signal: AbortSignal): Promise<Session | undefined>
  /** For how long a cluster has been without any, in milliseconds, at most since we started; 0 while one still ends. */
  missingMs(clusterId: string): number
  list(clusterId: string): { since: string; stats: SessionStats }[]
  readonly count: number
  /** Asks agents to take their streams elsewhere; from now on `waitForOne` throws `draining`. */
  drain(): void
  /** Ends the connections for which `which` holds, and every stream on them. */
  cut(which: (claims: TicketClaims) => boolean, error: AgentError): void
}

/** Keeps the live stream connections by cluster. */
export function createStreamConnections(
  log: Logger,
  now: () => number = () => performance.now(),
): StreamConnections {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: maxMessageBytes,
    perMessageDeflate: false,
  })
  const live = new Map<string, Set<Connection>>()
  const waiting = new Map<string, Set<() => void>>()
  const startedAt = now()
  const goneAt = new Map<string, number>()
  let turn = 0
  let isDraining = false

  function usable(clusterId: string): Session | undefined {
    const sessions = [...(live.get(clusterId) ?? [])]
      .map(({ session }) => session)
      .filter(({ acceptsStreams }) => acceptsStreams)
    if (sessions.length <= 1) return sessions[0]
    // Fewest streams first; among equals they take turns.
    const fewest = Math.min(...sessions.map(({ stats }) => stats.streams))
    const best = sessions.filter(({ stats }) => stats.streams === fewest)
    return best[turn++ % best.length]
  }

  function rememberEnd(clusterId: string): void {
    const endedAt = now()
    for (const [id, at] of goneAt) if (endedAt - at > rememberedMs) goneAt.delete(id)
    goneAt.set(clusterId, endedAt)
  }

  function all(): Connection[] {
    return [...live.values()].flatMap((set) => [...set])
  }

  return {
    accept(request, raw, head, claims) {
      server.handleUpgrade(request, raw, head, (ws) => {
        const { clusterId } = claims
        const answerCanary = createCanaryAnswer()
        const { session, closed } = runSession(ws, {
          role: 'listener',
          windows: defaultWindows,
          handler: { onOpen: (stream, open) => answerCanary(session, stream, open) },
        })
        const connection = { session, claims, since: new Date().toISOString() }
        const set = live.get(clusterId) ?? new Set()
        live.set(clusterId, set.add(connection))
        log.info({ clusterId, connections: set.size }, 'stream connection opened')
        for (const wake of waiting.get(clusterId) ?? []) wake()
        void closed.then((reason) => {
          set.delete(connection)
          if (set.size === 0) {
            live.delete(clusterId)
            rememberEnd(clusterId)
          }
          const { code, message } = reason
          log.info(
            { clusterId, connections: set.size, code, reason: message },
            'stream connection closed',
          )
        })
      })
    },
    pick: usable,
    async waitForOne(clusterId, waitMs, signal) {
      const deadline = performance.now() + waitMs
      for (;;) {
        if (isDraining) throw new AgentError('draining', 'the control plane stops')
        const leftMs = deadline - performance.now()
        if (leftMs <= 0) return undefined
        const wakers = waiting.get(clusterId) ?? new Set()
        waiting.set(clusterId, wakers)
        await woken(wakers, leftMs, signal)
        if (wakers.size === 0 && waiting.get(clusterId) === wakers) waiting.delete(clusterId)
        signal.throwIfAborted()
        const found = usable(clusterId)
        if (found !== undefined) return found
      }
    },
    // One that drains, or closes, carries nothing new and is still here: its end is a moment away, not long ago.
    missingMs: (clusterId) =>
      live.has(clusterId) ? 0 : now() - (goneAt.get(clusterId) ?? startedAt),
    list: (clusterId) =>
      [...(live.get(clusterId) ?? [])].map(({ session, since }) => ({
        since,
        stats: session.stats,
      })),
    get count() {
      return all().length
    },
    drain() {
      isDraining = true
      for (const { session } of all()) {
        session.drain({ reason: 'the control plane stops', retryAfterMs: 1_000 })
      }
      for (const wakers of waiting.values()) for (const wake of wakers) wake()
    },
    cut(which, error) {
      for (const { session, claims } of all()) if (which(claims)) session.close(error)
    },
  }
}

/** An agent asks whether this connection carries data: we open a probe back on it and pass on what it finds. */
function createCanaryAnswer() {
  // An agent could have us open streams without end.
  let current: Stream | undefined
  return (session: Session, request: Stream, head: unknown): StreamHandler => {
    const parsed = CanaryOpen.safeParse(head)
    if (!parsed.success || parsed.data.step !== 'request') {
      throw new AgentError('protocol', 'an agent may only open canaries', { hop: 'control-plane' })
    }
    if (current !== undefined) {
      const hop = 'control-plane'
      throw new AgentError('too-many-streams', 'a canary is under way on this connection', { hop })
    }
    const over = (): void => {
      if (current === probe) current = undefined
    }
    const open: CanaryOpen = { kind: 'canary', step: 'probe' }
    const probe = session.open(open, {
      onHead: (answer) => request.sendHead(FrameType.head, answer as object),
      onData: (bytes) => probe.consume(bytes.length),
      onEnd() {
        over()
        request.end()
      },
      onReset(error) {
        over()
        request.reset(error)
      },
    })
    current = probe
    probe.end()
    return {
      onData: (bytes) => request.consume(bytes.length),
      onEnd() {},
      onReset(error) {
        over()
        probe.reset(error)
      },
    }
  }
}

function woken(wakers: Set<() => void>, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      wakers.delete(done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    wakers.add(done)
    signal.addEventListener('abort', done)
    if (signal.aborted) done()
  })
}
