import { AgentError, type Windows } from '@agent/contracts'
import { pause } from '@agent/sidecar'
import type { SessionStats, Stream, StreamHandler } from '@agent/streams'
import { runSession } from '@agent/uplink'
import type { WebSocket } from 'ws'

import { type CanaryResult, tryCanary } from './canary.ts'

/** A canary that takes longer means that the connection carries no data. */
const canaryTimeoutMs = 8_000

/** One stream connection while it lives. */
export type Connection = {
  /** The latest canary; undefined before the first came back. */
  readonly canary: CanaryResult | undefined
  readonly stats: SessionStats
  /** False once either side drains: what is open goes on, nothing new begins. */
  readonly acceptsStreams: boolean
  /** Settles when another connection should take over: this one drains or is over. */
  retired: Promise<AgentError>
  /** Settles when it is over. */
  closed: Promise<AgentError>
  /** Takes no new streams and ends when the last one did, or at the deadline. */
  drain(deadlineMs: number): Promise<void>
}

export type ConnectionOptions = {
  windows: Windows
  canaryIntervalMs: number
  onStream(stream: Stream, head: unknown): StreamHandler
  onCanary(result: CanaryResult): void
}

/** Runs a session on the socket, tries it with canaries, and gives it up when they no longer come back. */
export function runConnection(socket: WebSocket, options: ConnectionOptions): Connection {
  const retired = Promise.withResolvers<AgentError>()
  let canary: CanaryResult | undefined
  const { session, closed } = runSession(socket, {
    role: 'dialer',
    windows: options.windows,
    handler: {
      onOpen: options.onStream,
      onGoAway({ reason, retryAfterMs }) {
        const error = new AgentError('draining', `the control plane drains: ${reason}`, {
          hop: 'control-plane',
          retryAfterMs,
        })
        retired.resolve(error)
        void drain(drainDeadlineMs)
      },
    },
  })
  const over = new AbortController()
  void closed.then((reason) => {
    over.abort()
    retired.resolve(reason)
  })
  void keepTrying()

  async function keepTrying(): Promise<void> {
    while (session.closed === undefined) {
      const result = await tryCanary(session, canaryTimeoutMs)
      if (session.closed !== undefined) return
      const isDraining = !session.acceptsStreams
      if (isDraining) return
      canary = result
      options.onCanary(result)
      if (!result.ok && result.isConnection) return session.close(result.error)
      await pause(options.canaryIntervalMs, over.signal)
    }
  }

  async function drain(deadlineMs: number): Promise<void> {
    session.drain({ reason: 'the agent stops', retryAfterMs: 0 })
    const deadline = performance.now() + deadlineMs
    while (session.closed === undefined && session.stats.streams > 0) {
      if (performance.now() > deadline) break
      await pause(100, over.signal)
    }
    session.close(new AgentError('draining', 'the connection was drained'))
    await closed
  }

  return {
    get canary() {
      return canary
    },
    get acceptsStreams() {
      return session.acceptsStreams
    },
    get stats() {
      return session.stats
    },
    retired: retired.promise,
    closed,
    drain,
  }
}

/** How long streams may go on after the control plane asked us to leave. */
const drainDeadlineMs = 30_000
