import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'

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

function dial(url: string, handshakeTimeoutMs = 2_000) {
  const signal = new AbortController().signal
  return dialWebSocket({
    url,
    token: 'secret-token',
    maxPayloadBytes: 1_000,
    signal,
    handshakeTimeoutMs,
  })
}

test.each([
  [401, {}, { code: 'credentials-refused' }],
  [403, {}, { code: 'credentials-refused' }],
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

test('HTTPS_PROXY is used, and NO_PROXY wins over it', async () => {
  const asked: string[] = []
  const server = createServer()
  server.on('connect', (request, socket) => {
    asked.push(request.url ?? '')
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  process.env['HTTPS_PROXY'] = `http://user:password@127.0.0.1:${port}`
  try {
    const error = await dial('wss://control-plane.invalid:443').catch((cause: unknown) => cause)
    expect(asked).toEqual(['control-plane.invalid:443'])
    expect(String(error)).not.toContain('password')
    process.env['NO_PROXY'] = 'control-plane.invalid'
    await dial('wss://control-plane.invalid:443').catch(() => {})
    expect(asked).toHaveLength(1)
  } finally {
    delete process.env['HTTPS_PROXY']
    delete process.env['NO_PROXY']
    server.close()
  }
})
