import { AgentError, type CanaryOpen, type ResponseHead } from '@agent/contracts'
import { type ApiServer, callKube } from '@agent/kube'
import { FrameType, type Session, type Stream, type StreamHandler } from '@agent/streams'

/** Well before the canary's own deadline: an API server that hangs is no fault of the connection, which must stay. */
const probeMs = 5_000

/** What one try of the whole path found. */
export type CanaryResult =
  | { ok: true; durationMs: number }
  /** `isConnection`: the connection itself carries no data, so another one may help. */
  | { ok: false; error: AgentError; isConnection: boolean }

/**
 * Tries a connection with a real request through the whole path: we ask the control plane, it opens a probe back,
 * and the probe asks the API server. Settles within `timeoutMs`.
 */
export function tryCanary(session: Session, timeoutMs: number): Promise<CanaryResult> {
  const startedAt = performance.now()
  const { promise, resolve } = Promise.withResolvers<CanaryResult>()
  const open: CanaryOpen = { kind: 'canary', step: 'request' }
  const finish = (result: CanaryResult): void => {
    clearTimeout(timer)
    resolve(result)
  }
  const timer = setTimeout(() => {
    const error = new AgentError('timeout', `no canary came back in ${timeoutMs} ms`, {
      hop: 'connection',
    })
    stream?.reset(error)
    finish({ ok: false, error, isConnection: true })
  }, timeoutMs)
  let stream: Stream | undefined
  try {
    stream = session.open(open, {
      onHead() {},
      onData: (bytes) => stream?.consume(bytes.length),
      onEnd: () => finish({ ok: true, durationMs: performance.now() - startedAt }),
      onReset(error) {
        const isConnection = error.hop === 'connection' || error.hop === 'control-plane'
        finish({ ok: false, error, isConnection })
      },
    })
    stream.end()
  } catch (cause) {
    finish({ ok: false, error: AgentError.from(cause, 'connection'), isConnection: true })
  }
  return promise
}

/** Answers the control plane's probe with what the API server says to a fixed `GET /readyz`. */
export function answerProbe(
  { api, onProbe }: { api: ApiServer; onProbe(durationMs: number): void },
  stream: Stream,
  open: CanaryOpen,
): StreamHandler {
  if (open.step !== 'probe') {
    throw new AgentError('protocol', 'only a probe can be answered here', { hop: 'proxy' })
  }
  const abort = new AbortController()
  const startedAt = performance.now()
  askReadiness(api, abort.signal).then(
    (head) => {
      onProbe(performance.now() - startedAt)
      stream.sendHead(FrameType.head, head)
      stream.end()
    },
    (error: unknown) => stream.reset(AgentError.from(error, 'proxy')),
  )
  return {
    onData: (bytes) => stream.consume(bytes.length),
    onEnd() {},
    onReset: (error) => abort.abort(error),
  }
}

async function askReadiness(api: ApiServer, signal: AbortSignal): Promise<ResponseHead> {
  const call = { path: '/readyz', accept: 'text/plain', timeoutMs: probeMs, signal }
  const { status } = await callKube(api, call)
  if (status === 401) {
    throw new AgentError('rbac-missing', 'the API server refuses the agent’s credential (401)')
  }
  if (status >= 500) {
    throw new AgentError('api-server-unreachable', `the API server is not ready (${status})`)
  }
  return { status, statusText: '', headers: [] }
}
