import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import { eventually } from '@agent/testing'
import { expect, test } from 'vitest'

import { dialWebSocket } from './dial.ts'

async function serveHttp(listener: RequestListener): Promise<AsyncDisposable & { url: string }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function dial(
  url: string,
  handshakeTimeoutMs = 2_000,
  signal: AbortSignal = new AbortController().signal,
) {
  return dialWebSocket({
    url,
    token: 'secret-token',
    maxPayloadBytes: 1_000,
    signal,
    handshakeTimeoutMs,
  })
}

test.each([
  [401, {}, { code: 'not-a-websocket' }],
  [403, {}, { code: 'not-a-websocket' }],
  [503, { 'retry-after': '7' }, { code: 'unavailable', retryAfterMs: 7_000 }],
  [429, {}, { code: 'unavailable' }],
  [200, {}, { code: 'not-a-websocket' }],
  [301, { location: '/x' }, { code: 'not-a-websocket' }],
  [401, { date: new Date(Date.now() - 3_600_000).toUTCString() }, { code: 'clock-skewed' }],
])('an answer of %i %j is told as %j', async (status, headers, expected) => {
  await using server = await serveHttp((_request, response) =>
    response.writeHead(status, headers).end(),
  )
  await expect(dial(server.url)).rejects.toMatchObject(expected)
})

test.each([
  [401, 'the control plane’s own', JSON.stringify({ kind: 'Status', code: 401 }), true],
  [403, 'the control plane’s own', JSON.stringify({ kind: 'Status', code: 403 }), true],
  [403, 'another status', JSON.stringify({ kind: 'Status', code: 401 }), false],
  [403, 'null', 'null', false],
  [403, 'a firewall’s page', '<html>blocked by policy</html>', false],
  [401, 'endless', '{'.repeat(100_000), false],
])(
  '%i with a body that is %s: refused credentials only if the control plane says so',
  async (status, _name, body, isRefused) => {
    await using server = await serveHttp((_request, response) =>
      response.writeHead(status).end(body),
    )
    const code = isRefused ? 'credentials-refused' : 'not-a-websocket'
    await expect(dial(server.url)).rejects.toMatchObject({ code })
  },
)

test('a refusal whose body never ends is given up in time', async () => {
  await using server = await serveHttp(
    (_request, response) => void response.writeHead(403).write('{'),
  )
  await expect(dial(server.url, 200)).rejects.toMatchObject({ code: 'control-plane-unreachable' })
})

async function startProxy(onConnect: (socket: Duplex) => void) {
  const asked: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('connect', (request, socket) => {
    asked.push(request.url ?? '')
    onConnect(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  process.env['HTTPS_PROXY'] = `http://user:password@127.0.0.1:${port}`
  return {
    asked,
    sockets,
    port,
    async [Symbol.asyncDispose]() {
      delete process.env['HTTPS_PROXY']
      delete process.env['NO_PROXY']
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test.each([401, 403, 407, 502])(
  'a %i of the proxy is the proxy’s, and no refused credential',
  async (status) => {
    const body = JSON.stringify({ kind: 'Status', code: status })
    await using proxy = await startProxy((socket) =>
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
    )
    const error = await dial('wss://control-plane.invalid:443').catch((cause: unknown) => cause)
    expect(error).toMatchObject({
      code: 'control-plane-unreachable',
      message: `the proxy 127.0.0.1:${proxy.port} answered ${status} to CONNECT`,
    })
  },
)

test('a proxy that answers nothing is given up in time, and so is a cancelled dial; neither keeps a socket', async () => {
  await using proxy = await startProxy((socket) => socket.resume().on('end', () => socket.end()))
  const error = await dial('wss://control-plane.invalid:443', 200).catch((cause: unknown) => cause)
  expect(error).toMatchObject({
    code: 'control-plane-unreachable',
    message: `no connection to control-plane.invalid through the proxy 127.0.0.1:${proxy.port} (nothing in 200 ms)`,
  })
  await eventually(() => proxy.sockets.size === 0, { deadlineMs: 2_000, what: 'no socket' })
  const abort = new AbortController()
  const dialling = dial('wss://control-plane.invalid:443', 60_000, abort.signal)
  dialling.catch(() => {})
  await eventually(() => proxy.asked.length === 2, {
    deadlineMs: 2_000,
    what: 'the second CONNECT',
  })
  abort.abort()
  await expect(dialling).rejects.toMatchObject({ code: 'cancelled' })
  await eventually(() => proxy.sockets.size === 0, { deadlineMs: 2_000, what: 'no socket' })
})

test('nobody listening, a wrong name and a silent port are unreachable, and no error holds the token', async () => {
  const silent = createTcpServer(() => {})
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as AddressInfo
  for (const url of ['ws://127.0.0.1:1', 'ws://none.invalid:80', `ws://127.0.0.1:${port}`]) {
    const error = await dial(url, 200).catch((cause: unknown) => cause)
    expect(error).toMatchObject({ code: 'control-plane-unreachable' })
    expect(JSON.stringify(error) + String(error)).not.toContain('secret-token')
  }
  silent.close()
})

test('HTTPS_PROXY is used, NO_PROXY wins over it, and no error holds its password', async () => {
  await using proxy = await startProxy((socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'))
  const error = await dial('wss://control-plane.invalid:443').catch((cause: unknown) => cause)
  expect(proxy.asked).toEqual(['control-plane.invalid:443'])
  expect(JSON.stringify(error) + String(error)).not.toContain('password')
  process.env['NO_PROXY'] = 'control-plane.invalid'
  await dial('wss://control-plane.invalid:443').catch(() => {})
  expect(proxy.asked).toHaveLength(1)
})
