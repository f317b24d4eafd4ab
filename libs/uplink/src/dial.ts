import type { Agent, ClientRequest, IncomingMessage } from 'node:http'
import { rootCertificates } from 'node:tls'

import { AgentError } from '@agent/contracts'
import { HttpsProxyAgent } from 'https-proxy-agent'
import { getProxyForUrl } from 'proxy-from-env'
import { WebSocket } from 'ws'

const maxSkewMs = 300_000
/** Of a refusal’s body, to see who refuses. */
const maxRefusalCharacters = 16_384

export type DialOptions = {
  /** ws:// or wss:// */
  url: string
  /** Bearer token; never part of the URL or of an error. */
  token: string
  /** PEM certificates to trust besides the system’s. */
  ca?: string | undefined
  /** For the whole dial, with every proxy and handshake on the way. */
  handshakeTimeoutMs?: number
  maxPayloadBytes: number
  headers?: Record<string, string>
  signal: AbortSignal
}

/**
 * Opens a WebSocket: directly, or through the proxy that HTTPS_PROXY and NO_PROXY name. Rejects with
 * `credentials-refused`, `control-plane-unreachable`, `control-plane-untrusted`, `not-a-websocket`, `clock-skewed`,
 * `cancelled` or `unavailable` (with the server's Retry-After).
 */
export function dialWebSocket(options: DialOptions): Promise<WebSocket> {
  const { url, token, ca, signal, handshakeTimeoutMs = 10_000 } = options
  const isTls = url.startsWith('wss:')
  const proxy = getProxyForUrl(url.replace(/^ws/, 'http'))
  const { promise, resolve, reject } = Promise.withResolvers<WebSocket>()
  // The connection to a proxy is not the request's until the proxy has answered, so it needs an end of its own.
  const giveUp = new AbortController()
  const socket = new WebSocket(url, {
    headers: { ...options.headers, authorization: `Bearer ${token}` },
    maxPayload: options.maxPayloadBytes,
    perMessageDeflate: false,
    followRedirects: false,
    ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
    ...(proxy === '' ? {} : { agent: agentFor(proxy, giveUp.signal, fail) }),
    // Masks keep plain-text middleboxes from misreading bytes (RFC 6455 §10.3); TLS hides them already, and ws
    // skips the work for a mask of zeros.
    ...(isTls ? { generateMask: (mask: Buffer) => void mask.fill(0) } : {}),
  })
  function fail(error: AgentError): void {
    reject(error)
    giveUp.abort()
    socket.terminate()
  }
  // ws knows a time limit for its own socket only, and behind a proxy there is none for a long time.
  const timer = setTimeout(() => {
    const reason = `nothing in ${handshakeTimeoutMs} ms`
    fail(dialError(new Error(reason), url, proxy))
  }, handshakeTimeoutMs)
  const onAbort = (): void => fail(new AgentError('cancelled', 'dialling was cancelled'))
  socket.on('unexpected-response', (_request: ClientRequest, response: IncomingMessage) => {
    void refusal(response).then(fail)
  })
  socket.once('error', (error: NodeJS.ErrnoException) => fail(dialError(error, url, proxy)))
  socket.once('open', () => {
    socket.removeAllListeners('unexpected-response')
    resolve(socket)
  })
  // `once('error')` above is gone after the first; a later one must not end the process.
  socket.on('error', () => {})
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  return promise.finally(() => {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  })
}

/** Connects through an HTTP proxy; what the proxy itself answers must not pass for the control plane's answer. */
function agentFor(proxy: string, signal: AbortSignal, fail: (error: AgentError) => void): Agent {
  const agent = new HttpsProxyAgent(proxy, { signal })
  agent.on('proxyConnect', ({ statusCode }: { statusCode: number }) => {
    if (statusCode === 200) return
    const { host } = new URL(proxy)
    fail(
      new AgentError(
        'control-plane-unreachable',
        `the proxy ${host} answered ${statusCode} to CONNECT`,
      ),
    )
  })
  return agent
}

async function refusal(response: IncomingMessage): Promise<AgentError> {
  const status = response.statusCode ?? 0
  if (status === 401 || status === 403) {
    const skew = skewOf(response.headers.date)
    if (skew !== undefined) return skew
    // A firewall's 403 must not end the agent: only the control plane knows its credentials, and it answers in JSON.
    if (await isControlPlanes(response, status)) {
      return new AgentError(
        'credentials-refused',
        `the control plane refused the credential (${status})`,
      )
    }
    return new AgentError(
      'not-a-websocket',
      `something before the control plane answered ${status} instead of a WebSocket`,
    )
  }
  response.resume()
  if (status === 429 || status === 503) {
    const seconds = Number(response.headers['retry-after'])
    return new AgentError('unavailable', `the control plane is busy (${status})`, {
      retryAfterMs: seconds > 0 ? Math.min(seconds, 300) * 1_000 : undefined,
    })
  }
  return new AgentError('not-a-websocket', `the address answered ${status} instead of a WebSocket`)
}

/** The control plane refuses with a Kubernetes `Status` that repeats the HTTP status. */
async function isControlPlanes(response: IncomingMessage, status: number): Promise<boolean> {
  let text = ''
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      text += chunk
      if (text.length > maxRefusalCharacters) return false
    }
    const body = JSON.parse(text) as { kind?: unknown; code?: unknown } | null
    return body?.kind === 'Status' && body.code === status
  } catch {
    return false
  }
}

function skewOf(date: string | undefined): AgentError | undefined {
  const skewMs = date === undefined ? 0 : Date.now() - Date.parse(date)
  if (!(Math.abs(skewMs) > maxSkewMs)) return undefined
  const minutes = Math.round(Math.abs(skewMs) / 60_000)
  const direction = skewMs > 0 ? 'ahead of' : 'behind'
  return new AgentError(
    'clock-skewed',
    `this clock is ${minutes} minutes ${direction} the control plane’s`,
  )
}

function dialError(error: NodeJS.ErrnoException, url: string, proxy: string): AgentError {
  const { host } = new URL(url)
  const via = proxy === '' ? '' : ` through the proxy ${new URL(proxy).host}`
  const code = error.code ?? ''
  if (/^CERT_(NOT_YET_VALID|HAS_EXPIRED)$/.test(code)) {
    return new AgentError(
      'control-plane-untrusted',
      `the certificate of ${host} is out of date, or this clock is wrong (${code})`,
      { cause: error },
    )
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/.test(code)) {
    return new AgentError(
      'control-plane-untrusted',
      `the certificate of ${host} is not trusted (${code})`,
      {
        cause: error,
      },
    )
  }
  if (
    /EPROTO|WRONG_VERSION|HPE_/.test(code) ||
    /Invalid (Upgrade|Sec-WebSocket)/.test(error.message)
  ) {
    return new AgentError(
      'not-a-websocket',
      `${host} does not speak WebSocket (${code || 'bad answer'})`,
      {
        cause: error,
      },
    )
  }
  const reason = code === '' ? error.message.replace(/\/\/[^@/]*@/, '//') : code
  return new AgentError('control-plane-unreachable', `no connection to ${host}${via} (${reason})`, {
    cause: error,
  })
}
