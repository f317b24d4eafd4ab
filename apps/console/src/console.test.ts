import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'

import { createMemoryBus } from '@agent/bus'
import { logWritten, openPodLogs, reviewAccess } from '@agent/contracts'
import type { Sidecar } from '@agent/sidecar'
import { eventually } from '@agent/testing'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'

import { Config } from './config.ts'
import { startConsole } from './console.ts'

const authorization = 'Bearer alice'
const line = 'x'.repeat(16_000)

/** A console with a bus of its own; `review` answers who may enter. */
async function start(options: { review?: () => Promise<boolean> } = {}) {
  const scope = new AsyncDisposableStack()
  const bus = scope.use(createMemoryBus())
  const stop = new AbortController()
  const metrics = new Registry()
  const user = { name: 'alice', groups: [] }
  bus.serve(reviewAccess, async () => {
    const allowed = (await options.review?.()) ?? true
    return { user, allowed, reason: '' }
  })
  const ready = Promise.withResolvers<number>()
  await startConsole({
    name: 'console',
    instance: 'c',
    version: '0',
    config: Config.parse({
      PIPEOPS_PORT: 0,
      PIPEOPS_HOST: '127.0.0.1',
      CONSOLE_IDLE_SECONDS: 1,
      CONSOLE_MAX_CONNECTIONS: 2,
    }),
    log: pino({ level: 'silent' }),
    metrics,
    bus,
    scope,
    signal: stop.signal,
    status: {
      report: (_state: string, _reason: string, { port }: { port: number }) => ready.resolve(port),
    },
  } as unknown as Sidecar<Config>)
  const port = await ready.promise
  scope.defer(() => stop.abort())
  const url = `http://127.0.0.1:${port}`
  return {
    bus,
    port,
    get: (path: string, method = 'GET') =>
      fetch(url + path, { method, headers: { authorization } }),
    open: async (name: string) => {
      const value = (await metrics.getSingleMetric(name)?.get())?.values[0]?.value
      return value ?? Number.NaN
    },
    socket: () => new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers: { authorization } }),
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  }
}

function rawGet(port: number, path: string, more = ''): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\n${more}\r\n`)
  return socket
}

async function untilOpen(
  console: { open(name: string): Promise<number> },
  kind: string,
  count: number,
) {
  await eventually(async () => (await console.open(`pipeops_${kind}_connections`)) === count, {
    deadlineMs: 8_000,
    what: `${count} connections`,
  })
}

test('a reader that takes nothing loses its place and its socket', async () => {
  await using console = await start()
  const deaf = rawGet(console.port, '/api/realtime/logs?tail=2000').pause()
  await untilOpen(console, 'sse', 1)
  const lines = Array.from({ length: 15 }, () => line)
  const flood = setInterval(() => {
    for (let turn = 0; turn < 20; turn++) {
      console.bus.publish(logWritten, { sidecar: 'link', instance: 'a', lines, dropped: 0 })
    }
  }, 20)
  try {
    await untilOpen(console, 'sse', 0)
  } finally {
    clearInterval(flood)
  }
  // What the kernel holds is read to its end, which comes.
  deaf.resume()
  await eventually(() => deaf.closed, { deadlineMs: 5_000, what: 'the end of the socket' })
})

test('who leaves while the gate is asked takes no place along', async () => {
  const asked = Promise.withResolvers<void>()
  const answered = Promise.withResolvers<boolean>()
  await using console = await start({
    review: () => {
      asked.resolve()
      return answered.promise
    },
  })
  const hasty = rawGet(
    console.port,
    '/ws',
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
  )
  await asked.promise
  hasty.resetAndDestroy()
  // Its end is known here once something later is answered.
  await once(hasty, 'close')
  await console.get('/health')
  answered.resolve(true)
  const socket = console.socket()
  await once(socket, 'open')
  expect(await console.open('pipeops_websocket_connections')).toBe(1)
  socket.terminate()
  await untilOpen(console, 'websocket', 0)
})

test('questions asked at once are all answered, in their order; a flood of them or of pings ends', async () => {
  await using console = await start()
  const socket = console.socket()
  const types: string[] = []
  socket.on('message', (data: Buffer) => types.push(JSON.parse(data.toString()).type))
  await once(socket, 'open')
  for (const type of ['subscribe', 'get_status', 'get_metrics', 'ping']) {
    socket.send(JSON.stringify({ type, topics: ['events'] }))
  }
  await eventually(() => types.length === 4, { deadlineMs: 3_000, what: 'four answers' })
  expect(types).toEqual(['subscribed', 'status', 'metrics', 'pong'])
  for (let turn = 0; turn < 200; turn++) socket.ping()
  await once(socket, 'close')
  const curious = console.socket()
  await once(curious, 'open')
  for (let turn = 0; turn < 200; turn++) curious.send('{"type":"get_metrics"}')
  expect((await once(curious, 'close'))[0]).toBe(1008)
})

test('a client that offers HTTP/2 is answered as any other', async () => {
  await using console = await start()
  const client = rawGet(console.port, '/health', 'Connection: Upgrade\r\nUpgrade: h2c\r\n')
  const [head] = (await once(client, 'data')) as [Buffer]
  expect(head.toString()).toMatch(/^HTTP\/1\.1 200 OK/)
  client.destroy()
})

test('asking for the head of a stream opens none', async () => {
  await using console = await start()
  for (const path of ['/api/realtime/events', '/api/realtime/logs']) {
    expect((await console.get(path, 'HEAD')).status).toBe(400)
  }
  expect(await console.open('pipeops_sse_connections')).toBe(0)
})

test('a tail of nothing is nothing, and lines of an earlier reading are not told again', async () => {
  await using console = await start()
  const read = async (query: string): Promise<string> =>
    (await console.get(`/api/realtime/logs?follow=false&${query}`)).text()
  const reading = read('tail=5')
  await untilOpen(console, 'sse', 1)
  for (const sidecar of ['link', 'proxy']) {
    console.bus.publish(logWritten, {
      sidecar,
      instance: 'a',
      lines: [`of ${sidecar}`],
      dropped: 0,
    })
    // The second comes a while after the first.
    await console.get('/health')
  }
  const all = await reading
  expect(all).toContain('of link')
  expect(all).toContain('of proxy')
  expect(await read('tail=0')).not.toContain('of link')
})

test('a log that is silent is followed, and what goes wrong later is told', async () => {
  await using console = await start()
  await using scope = new AsyncDisposableStack()
  const release = Promise.withResolvers<void>()
  const upstream = createServer((_request, response) => {
    void release.promise.then(() => response.writeHead(403).end('{"message":"no such right"}'))
  }).listen(0, '127.0.0.1')
  scope.defer(() => void upstream.close())
  await once(upstream, 'listening')
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/x`
  console.bus.serve(openPodLogs, async () => ({ url }))
  const response = await console.get('/api/realtime/logs?namespace=a&pod=b')
  expect(response.status).toBe(200)
  release.resolve()
  const text = await response.text()
  expect(text).toMatch(/event: problem\ndata: \{"code":"forbidden","message":"no such right"/)
})

test('signing out forgets the token, and only a page of the console’s may do so', async () => {
  await using console = await start()
  const out = (origin: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${console.port}/logout`, {
      method: 'POST',
      headers: { origin },
      redirect: 'manual',
    })
  expect((await out('https://evil.example')).status).toBe(403)
  const gone = await out(`http://127.0.0.1:${console.port}`)
  expect(gone.headers.get('set-cookie')).toMatch(/^pipeops_console=; .*Max-Age=0/)
})
