import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'

import type { CheckStep } from '@agent/contracts'
import { afterEach, expect, test, vi } from 'vitest'
import { WebSocketServer } from 'ws'

import { tryControlPlane } from './control-plane.ts'

afterEach(() => vi.unstubAllEnvs())

/** What answers like a control plane, on a port of its own; `good` is its token. */
async function startControlPlane() {
  const scope = new AsyncDisposableStack()
  const sockets = new WebSocketServer({ noServer: true })
  const server = createServer((_request, response) => response.end())
  server.on('upgrade', (request, socket, head) => {
    if (request.headers.authorization === 'Bearer good') {
      return sockets.handleUpgrade(request, socket, head, () => {})
    }
    socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  scope.defer(async () => {
    for (const each of sockets.clients) each.terminate()
    const closed = once(server, 'close')
    server.close().closeAllConnections()
    await closed
  })
  const { port } = server.address() as AddressInfo
  return { port, sockets, [Symbol.asyncDispose]: () => scope.disposeAsync() }
}

/** An HTTP proxy that opens ways, or answers 403. */
async function startHttpProxy(isOpen: boolean) {
  const asked: string[] = []
  const server = createServer().on('connect', (request, socket) => {
    asked.push(`${request.url} ${request.headers['proxy-authorization']}`)
    socket.on('error', () => {})
    if (!isOpen) return socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    const [host, port] = (request.url as string).split(':')
    const far = connect(Number(port), host).on('error', () => socket.destroy())
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    socket.pipe(far).pipe(socket)
    socket.on('close', () => far.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { port, asked, [Symbol.asyncDispose]: async () => void server.close() }
}

const check = (port: number, more: object = {}): Promise<CheckStep[]> =>
  tryControlPlane({ url: `http://127.0.0.1:${port}`, token: 'good', ca: undefined, ...more })
const verdicts = (steps: CheckStep[]): string =>
  steps.map(({ name, verdict }) => `${name} ${verdict}`).join(', ')
const step = (steps: CheckStep[], wanted: string): CheckStep =>
  steps.find(({ name }) => name === wanted) as CheckStep

test('every step of a way that works is taken, and leaves nothing open', async () => {
  await using there = await startControlPlane()
  expect(verdicts(await check(there.port))).toBe(
    'name skip, tcp ok, proxy skip, tls warn, clock ok, websocket ok, round trip ok',
  )
  await vi.waitFor(() => expect(there.sockets.clients.size).toBe(0))
})

test('the first step that fails is the broken one, the rest is not tried', async () => {
  await using there = await startControlPlane()
  const refused = await check(there.port, { token: 'secret-but-wrong' })
  expect(step(refused, 'websocket')).toMatchObject({ verdict: 'fail' })
  expect(step(refused, 'round trip')).toMatchObject({ verdict: 'skip' })
  expect(JSON.stringify(refused)).not.toContain('secret-but-wrong')

  const tls = await check(there.port, { url: `https://127.0.0.1:${there.port}` })
  expect(step(tls, 'tls')).toMatchObject({ verdict: 'fail', hop: 'connection' })
  expect(step(tls, 'websocket').text).toBe('not tried: tls failed')

  const nobody = await check(1)
  expect(step(nobody, 'tcp')).toMatchObject({ verdict: 'fail', hop: 'connection' })
  expect(step(nobody, 'tcp').text).toContain('ECONNREFUSED')
})

test('a clock that is wrong is a remark with what to do', async () => {
  await using there = await startControlPlane()
  const steps = await check(there.port, { now: () => Date.now() - 600_000 })
  expect(step(steps, 'clock')).toMatchObject({
    verdict: 'warn',
    text: expect.stringMatching(/(599|600|601) s behind/),
    advice: expect.stringContaining('NTP'),
  })
})

test('through an HTTP proxy the way is asked for; one that refuses is named, its password is not', async () => {
  await using there = await startControlPlane()
  await using open = await startHttpProxy(true)
  vi.stubEnv('no_proxy', '')
  vi.stubEnv('NO_PROXY', '')
  vi.stubEnv('http_proxy', `http://me:pass-word@127.0.0.1:${open.port}`)
  const through = await check(there.port)
  expect(step(through, 'proxy')).toMatchObject({ verdict: 'ok' })
  expect(step(through, 'clock')).toMatchObject({ verdict: 'ok' })
  expect(open.asked[0]).toBe(
    `127.0.0.1:${there.port} Basic ${Buffer.from('me:pass-word').toString('base64')}`,
  )
  await using closed = await startHttpProxy(false)
  vi.stubEnv('http_proxy', `http://me:pass-word@127.0.0.1:${closed.port}`)
  const steps = await check(there.port)
  expect(step(steps, 'proxy')).toMatchObject({
    verdict: 'fail',
    text: `the proxy 127.0.0.1:${closed.port} answered 403 to CONNECT`,
  })
  expect(JSON.stringify([...through, ...steps])).not.toContain('pass-word')
})
