import type { Bus } from '@agent/bus'
import { AgentError, openPodLogs, type StreamUser } from '@agent/contracts'
import { request } from 'undici'

import type { LogsQuery } from './schemas.ts'
import type { EventStream } from './sse.ts'

const openMs = 5_000
const maxLineChars = 16_384
const maxReasonChars = 500

/** Opens a pod's log through the proxy, as that user; refuses before anything is answered. */
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
  const { statusCode, body } = await request(url, { headersTimeout: 20_000, bodyTimeout: 0 })
  if (statusCode !== 200) {
    const text = await body.text()
    throw refusal(statusCode, text.slice(0, 65_536))
  }
  const text = grep?.toLowerCase()

  return async (stream: EventStream): Promise<void> => {
    const end = (): void => void body.destroy()
    stream.signal.addEventListener('abort', end, { once: true })
    try {
      for await (const line of linesOf(body)) {
        if (text !== undefined && !line.toLowerCase().includes(text)) continue
        await stream.send({ event: 'log', data: { pod, line } })
      }
      await stream.send({ event: 'end', data: {} })
    } finally {
      stream.signal.removeEventListener('abort', end)
      body.destroy()
    }
  }
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
