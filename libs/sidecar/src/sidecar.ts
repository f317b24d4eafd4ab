import type { Bus } from '@agent/bus'
import type { AgentEvent } from '@agent/contracts'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type * as z from 'zod'

import type { CommonConfig } from './config.ts'
import type { StatusReporter } from './status.ts'

/** What a sidecar works with. */
export type Sidecar<C> = {
  name: string
  instance: string
  version: string
  config: C & CommonConfig
  log: Logger
  metrics: Registry
  bus: Bus
  /** Closed backwards at the end. */
  scope: AsyncDisposableStack
  /** Ends when the process is to stop. */
  signal: AbortSignal
  status: StatusReporter
  /** Puts a line on the console's timeline. */
  tell(level: AgentEvent['level'], type: AgentEvent['type'], text: string): void
  /** Starts others in this process and on this bus; from then on this one is as well as the worst of them. */
  host(others: readonly SidecarOptions[]): Promise<void>
}

export type SidecarOptions<S extends z.ZodType = z.ZodType> = {
  name: string
  config: S
  /** `none` for a service that has no sidecars beside it, or hosts all of them itself. */
  bus?: 'nats' | 'none'
  defaultHealthPort: number
  /** Wires handlers and returns; the scope and the signal end what it began. */
  start(sidecar: Sidecar<z.output<S>>): Promise<void> | void
}
