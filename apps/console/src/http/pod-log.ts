import type { Bus } from '@agent/bus'
import { AgentError, openPodLogs, type StreamUser } from '@agent/contracts'
import { pause } from '@agent/sidecar'
import { request } from 'undici'

import { problemFacts } from './problem.ts'
import type { LogsQuery } from './schemas.ts'
import type { EventStream } from './sse.ts'

const openMs = 5_000
/** Where nothing was written yet the API server answers with the first line (kubelet sends no head before). */
const quietMs = 3_000
const headMs = 20_000
const maxLineChars = 16_384
const maxReasonChars = 500

/**
 * Opens a pod's log through the proxy, as that user. What is refused soon is refused before anything is answered; the
 * silence of a log that is followed is not waited out.
 */
export async function sendPodLog(bus: Pick<Bus, 'request'>, query: LogsQuery, user: StreamUser) {
  const { namespace, pod, container, since, tail, follow, grep } = query
  const { url } = await bus.request(
    openPodLogs,
    {
      user,
      query: {
        namespace: namespace as string,
        pod: pod as string,
        follow,
        tailLines: tail,
        ...(container === undefined ? {} : { container }),
        ...(since === undefined ? {} : { sinceSeconds: since }),
      },
    },
    { timeoutMs: openMs },
  )
  const gone = new AbortController()
  const { signal } = gone
  const opening = openBody(url, { headersTimeout: follow ? 0 : headMs, signal })
  // Its failure is told to whoever follows, once somebody does.
  opening.catch(() => {})
  await Promise.race(follow ? [opening, pause(quietMs, signal)] : [opening])
  const text = grep?.toLowerCase()

  return async (stream: EventStream): Promise<void> => {
    const end = (): void => gone.abort()
    stream.signal.addEventListener('abort', end, { once: true })
    if (stream.signal.aborted) end()
    try {
      for await (const line of linesOf(await opening)) {
        if (text !== undefined && !line.toLowerCase().includes(text)) continue
        await stream.send({ event: 'log', data: { pod, line } })
      }
      await stream.send({ event: 'end', data: {} })
    } catch (cause) {
      if (stream.signal.aborted) throw cause
      await stream.send({ event: 'problem', data: problemFacts(brokenOff(cause)) })
    } finally {
      stream.signal.removeEventListener('abort', end)
      end()
    }
  }
}

async function openBody(url: string, options: { headersTimeout: number; signal: AbortSignal }) {
  const { statusCode, body } = await request(url, { ...options, bodyTimeout: 0 })
  if (statusCode === 200) return body
  throw refusal(statusCode, (await body.text()).slice(0, 65_536))
}

function brokenOff(cause: unknown): AgentError {
  if (cause instanceof AgentError) return cause
  return new AgentError('api-server-unreachable', 'the log broke off', { cause })
}

/** Lines as they come; the reader's pace is the log's. A line without end is cut at 16 Ki characters. */
async function* linesOf(body: AsyncIterable<Buffer>): AsyncIterable<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = parts.pop() as string
    for (const line of parts) yield line.slice(0, maxLineChars)
    if (rest.length <= maxLineChars) continue
    yield rest.slice(0, maxLineChars)
    rest = ''
  }
  if (rest !== '') yield rest
}

/** What the API server said, as one of our errors. */
function refusal(status: number, body: string): AgentError {
  let message = body
  try {
    message = (JSON.parse(body) as { message?: string }).message ?? body
  } catch {
    // Plain text it is.
  }
  const code =
    status === 403
      ? 'forbidden'
      : status === 404
        ? 'not-found'
        : status < 500
          ? 'bad-request'
          : 'api-server-unreachable'
  return new AgentError(code, message.slice(0, maxReasonChars), { hop: 'api-server' })
}
