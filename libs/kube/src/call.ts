import { AgentError } from '@agent/contracts'

import type { ApiServer } from './api-server.ts'

/** A small JSON call of the agent's own. */
export type KubeCall = {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  path: string
  body?: unknown
  accept?: string
  /** Of the body; JSON unless said otherwise. */
  contentType?: string
  timeoutMs?: number
  signal?: AbortSignal
}

/** What the API server answered; 403 and 404 are answers too. */
export type KubeAnswer = { status: number; body: unknown }

const maxAnswerBytes = 8_388_608

/** Makes one call; throws `api-server-unreachable` or `-untrusted` where no answer came in time. */
export async function callKube(api: ApiServer, call: KubeCall): Promise<KubeAnswer> {
  const deadline = AbortSignal.timeout(call.timeoutMs ?? 10_000)
  const signal = call.signal === undefined ? deadline : AbortSignal.any([deadline, call.signal])
  const over = Promise.withResolvers<never>()
  const end = (): void => over.reject(signal.reason as Error)
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  try {
    const exchanged = exchange(api, call, signal)
    exchanged.catch(() => {})
    // undici hears of an end only once it has a connection: a server that hangs would be waited for past the deadline.
    return await Promise.race([exchanged, over.promise])
  } catch (error) {
    throw unanswered(error)
  } finally {
    signal.removeEventListener('abort', end)
  }
}

async function exchange(api: ApiServer, call: KubeCall, signal: AbortSignal): Promise<KubeAnswer> {
  const { method = 'GET' } = call
  const response = await api.dispatcher().request({
    origin: api.origin,
    path: api.basePath + call.path,
    method,
    headers: {
      ...kubeHeaders(api, call.accept, call.body !== undefined),
      ...(call.contentType === undefined ? {} : { 'content-type': call.contentType }),
    },
    body: call.body === undefined ? null : JSON.stringify(call.body),
    signal,
  })
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response.body) {
    size += chunk.length
    if (size > maxAnswerBytes)
      throw new AgentError('internal', `${call.path}: the answer is too large`)
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString('utf8')
  return { status: response.statusCode, body: text === '' ? null : parse(text) }
}

/** Headers of the agent's own calls. */
export function kubeHeaders(api: ApiServer, accept = 'application/json', hasBody = false) {
  const authorization = api.authorization()
  return {
    accept,
    'user-agent': 'pipeops-agent',
    ...(authorization === undefined ? {} : { authorization }),
    ...(hasBody ? { 'content-type': 'application/json' } : {}),
  }
}

/** A failure to get any answer, as one of our errors. */
export function unanswered(error: unknown): AgentError {
  if (error instanceof AgentError) return error
  const { code: given, name } = error as NodeJS.ErrnoException
  // A DOMException's code is a number that says nothing.
  const code = typeof given === 'string' ? given : name
  const isTrust = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/.test(code)
  return isTrust
    ? new AgentError(
        'api-server-untrusted',
        `the API server’s certificate is not trusted (${code})`,
        {
          cause: error,
        },
      )
    : new AgentError(
        'api-server-unreachable',
        `the API server did not answer ${name === 'TimeoutError' ? 'in time' : `(${code})`}`,
        { cause: error },
      )
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
