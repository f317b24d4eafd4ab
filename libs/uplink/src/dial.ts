import type { ClientRequest, IncomingMessage } from 'node:http'
import { rootCertificates } from 'node:tls'

import { AgentError } from '@agent/contracts'
import { HttpsProxyAgent } from 'https-proxy-agent'
import { getProxyForUrl } from 'proxy-from-env'
import { WebSocket } from 'ws'

const maxSkewMs = 300_000

export type DialOptions = {
  /** ws:// or wss:// */
  url: string
  /** Bearer token; never part of the URL or of an error. */
  token: string
  /** PEM certificates to trust besides the system’s. */
  ca?: string | undefined
  handshakeTimeoutMs?: number
  maxPayloadBytes: number
  headers?: Record<string, string>
  signal: AbortSignal
}

/**
 * Opens a WebSocket: directly, or through the proxy that HTTPS_PROXY and NO_PROXY name. Rejects with
 * `credentials-refused`, `control-plane-unreachable`, `control-plane-untrusted`, `not-a-websocket`, `clock-skewed` or
 * `unavailable` (with the server's Retry-After).
 */
export function dialWebSocket(options: DialOptions): Promise<WebSocket> {
  const { url, token, ca, signal, handshakeTimeoutMs = 10_000 } = options
  const isTls = url.startsWith('wss:')
  const proxy = getProxyForUrl(url.replace(/^ws/, 'http'))
  const { promise, resolve, reject } = Promise.withResolvers<WebSocket>()
  const socket = new WebSocket(url, {
    headers: { ...options.headers, authorization: `Bearer ${token}` },
    handshakeTimeout: handshakeTimeoutMs,
    maxPayload: options.maxPayloadBytes,
    perMessageDeflate: false,
    followRedirects: false,
    ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
    ...(proxy === '' ? {} : { agent: new HttpsProxyAgent(proxy) }),
    // Masks keep plain-text middleboxes from misreading bytes (RFC 6455 §10.3); TLS hides them already, and ws
    // skips the work for a mask of zeros.
    ...(isTls ? { generateMask: (mask: Buffer) => void mask.fill(0) } : {}),
  })
  const onAbort = (): void => {
    reject(new AgentError('cancelled', 'dialling was cancelled'))
    socket.terminate()
  }
  socket.on('unexpected-response', (request: ClientRequest, response: IncomingMessage) => {
    response.resume()
    reject(refusal(response))
    request.destroy()
  })
  socket.once('error', (error: NodeJS.ErrnoException) => reject(dialError(error, url, proxy)))
  socket.once('open', () => {
    socket.removeAllListeners('unexpected-response')
    resolve(socket)
  })
  // `once('error')` above is gone after the first; a later one must not end the process.
  socket.on('error', () => {})
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  return promise.finally(() => signal.removeEventListener('abort', onAbort))
}

function refusal(response: IncomingMessage): AgentError {
  const status = response.statusCode ?? 0
  const skew = skewOf(response.headers.date)
  if (status === 401 || status === 403) {
    if (skew !== undefined) return skew
    return new AgentError(
      'credentials-refused',
      `the control plane refused the credential (${status})`,
    )
  }
  if (status === 429 || status === 503) {
    const seconds = Number(response.headers['retry-after'])
    return new AgentError('unavailable', `the control plane is busy (${status})`, {
      retryAfterMs: seconds > 0 ? Math.min(seconds, 300) * 1_000 : undefined,
    })
  }
  return new AgentError('not-a-websocket', `the address answered ${status} instead of a WebSocket`)
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
