import { lookup } from 'node:dns/promises'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, rootCertificates, type TLSSocket } from 'node:tls'

import { AgentError, type CheckStep, maxControlMessageBytes, paths } from '@agent/contracts'
import { dialWebSocket } from '@agent/uplink'
import { getProxyForUrl } from 'proxy-from-env'
import type { WebSocket } from 'ws'

import { type Found, takeSteps } from './steps.ts'

const stepMs = 8_000
const soonDays = 14
const dayMs = 86_400_000
const maxSkewMs = 120_000

export type ControlPlaneCheck = {
  /** `https://host:port` */
  url: string
  token: string
  ca: string | undefined
  now?: () => number
}

/**
 * Tries the way to the control plane one step at a time: name, TCP, HTTP proxy, TLS chain and expiry, clock, WebSocket
 * upgrade with the token, round trip. The connection that is tried is closed without registering.
 */
export async function tryControlPlane(check: ControlPlaneCheck): Promise<CheckStep[]> {
  const { now = Date.now } = check
  const url = new URL(check.url)
  const isTls = url.protocol === 'https:'
  const port = Number(url.port) || (isTls ? 443 : 80)
  const proxyUrl = getProxyForUrl(check.url)
  const proxy = proxyUrl === '' ? undefined : new URL(proxyUrl)
  const first = proxy ?? url
  const firstPort = proxy === undefined ? port : Number(proxy.port) || 80
  await using scope = new AsyncDisposableStack()
  let tcp: Socket | undefined
  let tls: TLSSocket | undefined
  let socket: WebSocket | undefined

  return await takeSteps([
    { name: 'name', hop: 'connection', run: () => resolveName(first.hostname) },
    {
      name: 'tcp',
      hop: 'connection',
      async run() {
        const opened = connectTcp(firstPort, bare(first.hostname))
        scope.defer(() => void opened.destroy())
        await settled(opened, 'connect', `${first.host} did not accept a connection`)
        tcp = opened
        return { text: `connected to ${opened.remoteAddress}:${firstPort}` }
      },
    },
    {
      name: 'proxy',
      hop: 'connection',
      async run() {
        if (proxy === undefined) return { text: 'no HTTP proxy is set', verdict: 'skip' }
        await connectThrough(tcp as Socket, proxy, `${url.hostname}:${port}`)
        return { text: `the proxy ${proxy.host} opened a way to ${url.hostname}:${port}` }
      },
    },
    {
      name: 'tls',
      hop: 'connection',
      async run() {
        if (!isTls)
          return { text: 'the address is plain HTTP', verdict: 'warn', advice: plainAdvice }
        const host = bare(url.hostname)
        const opened = connectTls({
          socket: tcp,
          ...(isIP(host) ? {} : { servername: host }),
          host,
          ...(check.ca === undefined ? {} : { ca: [...rootCertificates, check.ca] }),
        })
        scope.defer(() => void opened.destroy())
        await settled(opened, 'secureConnect', `${url.host} does not complete a TLS handshake`)
        tls = opened
        return certificateFound(opened, now())
      },
    },
    {
      name: 'clock',
      hop: 'connection',
      run: () => clockFound(tls ?? (tcp as Socket), url.host, now),
    },
    {
      name: 'websocket',
      hop: 'control-plane',
      async run() {
        socket = await dialWebSocket({
          url: check.url.replace(/^http/, 'ws').replace(/\/+$/, '') + paths.controlSocket,
          token: check.token,
          ca: check.ca,
          handshakeTimeoutMs: stepMs,
          maxPayloadBytes: maxControlMessageBytes,
          signal: AbortSignal.timeout(stepMs),
        })
        const opened = socket
        scope.defer(() => opened.terminate())
        return { text: 'the control plane accepted the token and the upgrade' }
      },
    },
    {
      name: 'round trip',
      hop: 'control-plane',
      async run() {
        const opened = socket as WebSocket
        const startedAt = performance.now()
        opened.ping()
        await settled(opened, 'pong', 'the control plane did not answer a ping')
        return { text: `${(performance.now() - startedAt).toFixed(1)} ms there and back` }
      },
    },
  ])
}

const plainAdvice = 'Use https:// in PIPEOPS_API_URL: the token travels in the clear.'

async function resolveName(hostname: string): Promise<Found> {
  const host = bare(hostname)
  if (isIP(host)) return { text: `${host} is an address already`, verdict: 'skip' }
  try {
    const found = await lookup(host, { all: true })
    return { text: `${host} is ${found.map(({ address }) => address).join(', ')}` }
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException
    throw new AgentError(
      'control-plane-unreachable',
      `the name ${host} does not resolve (${code})`,
      {
        cause,
        hop: 'connection',
      },
    )
  }
}

function certificateFound(socket: TLSSocket, nowMs: number): Found {
  const { valid_to: validTo, issuer, subject } = socket.getPeerCertificate()
  const days = Math.floor((Date.parse(validTo) - nowMs) / dayMs)
  const issuedBy = [issuer?.CN ?? issuer?.O ?? 'unknown'].flat().join(' ')
  const name = [subject?.CN ?? 'the certificate'].flat().join(' ')
  const text = `${name}, issued by ${issuedBy}, valid for ${days} more days (${socket.getProtocol()})`
  if (days >= soonDays) return { text }
  return { text, verdict: 'warn', advice: 'Renew the control plane’s certificate.' }
}

/** Asks for nothing in particular: any HTTP answer carries a date (RFC 9110 §6.6.1). */
async function clockFound(socket: Socket, host: string, now: () => number): Promise<Found> {
  const head = await answerHead(
    socket,
    `HEAD / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
  )
  const date = /^date: *(.+)$/im.exec(head)?.[1]
  if (date === undefined) return { text: 'the answer has no date', verdict: 'skip' }
  const skewMs = now() - Date.parse(date)
  const text = `this clock is ${Math.abs(Math.round(skewMs / 1_000))} s ${skewMs < 0 ? 'behind' : 'ahead of'} the control plane’s`
  if (Math.abs(skewMs) <= maxSkewMs) return { text }
  return {
    text,
    verdict: 'warn',
    advice: 'Set the clock, best with NTP: tokens and certificates depend on it.',
  }
}

async function connectThrough(socket: Socket, proxy: URL, target: string): Promise<void> {
  const credentials =
    proxy.username === ''
      ? ''
      : `Proxy-Authorization: Basic ${Buffer.from(`${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`).toString('base64')}\r\n`
  const head = await answerHead(
    socket,
    `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${credentials}\r\n`,
  )
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1]
  if (status === '200') return
  throw new AgentError(
    'control-plane-unreachable',
    `the proxy ${proxy.host} answered ${status ?? 'oddly'} to CONNECT`,
    { hop: 'connection' },
  )
}

/** Sends a request head and reads the answer's head; at most 16 KiB of it. */
async function answerHead(socket: Socket, request: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let text = ''
  const onData = (chunk: Buffer): void => {
    text += chunk.toString('latin1')
    if (text.includes('\r\n\r\n') || text.length > 16_384) resolve(text)
  }
  const onClose = (): void =>
    reject(new AgentError('not-a-websocket', 'the connection closed without an HTTP answer'))
  socket.on('data', onData)
  socket.once('close', onClose)
  // Of an earlier answer's end; a listener alone does not undo it.
  socket.resume()
  const timer = setTimeout(
    () =>
      reject(new AgentError('timeout', `no HTTP answer in ${stepMs} ms`, { hop: 'connection' })),
    stepMs,
  )
  socket.write(request)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    socket.off('data', onData)
    socket.off('close', onClose)
    socket.pause()
  }
}

/** Waits for one event; an error or eight seconds without it is the failure named by `what`. */
async function settled(emitter: NodeJS.EventEmitter, event: string, what: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const fail = (reason: string, cause?: unknown): void => {
    const isTrust = /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|EXPIRED/.test(reason)
    const code = isTrust ? 'control-plane-untrusted' : 'control-plane-unreachable'
    reject(new AgentError(code, `${what} (${reason})`, { cause, hop: 'connection' }))
  }
  const onError = (error: NodeJS.ErrnoException): void => fail(error.code ?? error.message, error)
  const timer = setTimeout(() => fail(`nothing in ${stepMs} ms`), stepMs)
  emitter.once(event, resolve)
  emitter.once('error', onError)
  try {
    await promise
  } finally {
    clearTimeout(timer)
    emitter.off('error', onError)
    // Whatever goes wrong later belongs to a later step.
    emitter.on('error', () => {})
  }
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '')
}
