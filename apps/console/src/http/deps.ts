import type { Bus } from '@agent/bus'
import type { StreamUser } from '@agent/contracts'
import type { HttpBindings } from '@hono/node-server'
import type { Logger } from 'pino'

import type { Gate } from '../access/gate.ts'
import type { Config } from '../config.ts'
import type { Connectivity } from '../doctor/connectivity.ts'
import type { Metrics } from '../metrics/collect.ts'
import type { EventRing } from '../pod/event-ring.ts'
import type { History } from '../pod/history.ts'
import type { LogFeed } from '../pod/log-feed.ts'
import type { PodView } from '../pod/pod-view.ts'
import type { Readiness } from '../pod/readiness.ts'
import type { Snapshot } from '../pod/snapshot.ts'
import type { Assets } from './assets.ts'
import type { ConnectionLimit } from './limit.ts'

/** What the console's routes work with. */
export type ConsoleDeps = {
  config: Config
  bus: Bus
  log: Logger
  pod: PodView
  gate: Gate
  metrics: Metrics
  history: History
  logs: LogFeed
  assets: Assets
  build: { version: string; commit: string; buildDate: string; node: string }
  startedAtMs: number
  readiness(): Readiness
  snapshot(): Snapshot
  /** The snapshot, each time it changed. */
  live: EventRing<Snapshot>
  testConnectivity(): Promise<Connectivity>
  limits: { sse: ConnectionLimit; webSocket: ConnectionLimit }
  /** Ends when the console stops. */
  stopping: AbortSignal
}

/** What a request carries through the app: who asks, and the way to ask whether they still may. */
export type ConsoleEnv = {
  Bindings: HttpBindings
  Variables: { user: StreamUser; admit: () => Promise<StreamUser> }
}
