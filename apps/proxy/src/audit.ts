import type { Bus } from '@agent/bus'
import {
  type AgentError,
  type AuditRecord,
  type ConsoleOpen,
  type KubeOpen,
  requestFailed,
  type ServiceOpen,
} from '@agent/contracts'

import type { Decision } from './authorize.ts'

const maxBatch = 64
const maxAgeMs = 250
/** Far below what the bus takes: a record is at most a quarter of it. */
const maxBatchChars = 65_536
const maxPathChars = 2_048

/** Takes the record of each request that is over. */
export type AuditTrail = {
  add(record: AuditRecord): void
  /** Port-forwards open now. */
  forwards: number
  /** Tells the bus what is left to tell. */
  flush(): void
}

/** A trail that writes every record, and tells the bus of those that somebody should look at, in batches. */
export function createAuditTrail(
  bus: Pick<Bus, 'publish'>,
  write: (record: AuditRecord) => void,
): AuditTrail {
  let batch: AuditRecord[] = []
  let batchChars = 0
  let timer: NodeJS.Timeout | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    if (batch.length === 0) return
    const records = batch
    batch = []
    batchChars = 0
    bus.publish(requestFailed, { records })
  }

  return {
    forwards: 0,
    add(record) {
      write(record)
      if (!isFailure(record)) return
      const chars = sizeOf(record)
      if (batchChars + chars > maxBatchChars) flush()
      batch.push(record)
      batchChars += chars
      if (batch.length >= maxBatch) flush()
      else timer ??= setTimeout(flush, maxAgeMs)
    },
    flush,
  }
}

function isFailure({ kind, decision, hop }: AuditRecord): boolean {
  if (kind === 'canary') return false
  return decision === 'deny' || hop === 'api-server' || hop === 'service'
}

/** About how long a record is as JSON. */
function sizeOf({ path, user, groups, reason }: AuditRecord): number {
  const words = groups.reduce((sum, group) => sum + group.length + 3, 0)
  return 512 + path.length + user.length + reason.length + words
}

/** One request on its way: what the record will say once it ends. */
export type AuditEntry = {
  requestBytes: number
  responseBytes: number
  /** The answer's head is there. */
  answered(status: number): void
  /** Writes the record; a second call does nothing. */
  close(error?: AgentError): void
}

/** Starts a request's record; durations are measured on `now`, a steady clock in milliseconds. */
export function openAuditEntry(
  trail: AuditTrail,
  request: KubeOpen | ServiceOpen | ConsoleOpen,
  options: { upgrade: string | undefined; decision: Decision; now?: () => number },
): AuditEntry {
  const { decision, upgrade, now = () => performance.now() } = options
  // Only what the record needs: a stream may live for days, and its head with it otherwise.
  const { id, kind, method, user } = request
  // A query may hold a secret (exec's command line, a token): only the path is kept.
  const path = (request.target.split('?', 1)[0] as string).slice(0, maxPathChars)
  const startedAt = now()
  const time = new Date().toISOString()
  let isClosed = false
  let status: number | null = null
  let answerMs: number | null = null
  const isForward = upgrade !== undefined && path.endsWith('/portforward')
  if (isForward) trail.forwards++
  const sinceStart = (): number => Math.round((now() - startedAt) * 1_000) / 1_000
  return {
    requestBytes: 0,
    responseBytes: 0,
    answered(given) {
      status = given
      answerMs = sinceStart()
    },
    close(error) {
      if (isClosed) return
      isClosed = true
      if (isForward) trail.forwards--
      trail.add({
        id,
        time,
        kind,
        user: user.name,
        groups: user.groups,
        method,
        path,
        upgrade: upgrade ?? null,
        decision: decision.allow ? 'allow' : 'deny',
        reason: decision.allow ? '' : decision.reason,
        status,
        code: error?.code ?? null,
        hop: error?.hop ?? null,
        answerMs,
        durationMs: sinceStart(),
        requestBytes: this.requestBytes,
        responseBytes: this.responseBytes,
      })
    },
  }
}
