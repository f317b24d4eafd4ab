import type { AgentError, Windows } from '@agent/contracts'

import type { GoAway } from './payloads.ts'
import type { Stream, StreamHandler } from './stream.ts'

export type SessionOptions = {
  /** The side that dialled opens odd stream ids, the other even ones. */
  role: 'dialer' | 'listener'
  /** What this side lets the peer send; both sides were told the same figures. */
  windows: Windows
  /** Milliseconds on any steady clock. */
  now(): number
  /** Streams either side may have open at once; the peer's limit is taken to be the same. */
  maxStreams?: number
  pingIntervalMs?: number
  /** Nothing heard for this long: the peer is dead. */
  deadAfterMs?: number
  syncIntervalMs?: number
  /** Under memory pressure, a stream whose consumer took nothing for this long is ended. */
  stalledAfterMs?: number
}

export type SessionHandler = {
  /** The peer opened a stream: answer with its handler, or throw to refuse it. */
  onOpen(stream: Stream, head: unknown): StreamHandler
  /** The peer wants no new streams. */
  onGoAway?(goAway: GoAway): void
  /** `take` has something to send. */
  onReady(): void
  /** The session is over and every stream was told; called once. */
  onClose(error: AgentError): void
}

/** Counters of one session, for metrics. */
export type SessionStats = {
  streams: number
  opened: number
  rttMs: number | undefined
  bytesReceived: number
  bytesSent: number
  unconsumedBytes: number
  resets: number
}

/** What the options leave open, by the protocol's defaults. */
export const defaultOptions = {
  maxStreams: 10_000,
  pingIntervalMs: 3_000,
  deadAfterMs: 9_000,
  syncIntervalMs: 60_000,
  stalledAfterMs: 10_000,
}
