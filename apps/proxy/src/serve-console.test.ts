import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { createMemoryBus } from '@agent/bus'
import { openPodLogs, reviewAccess } from '@agent/contracts'
import type { ApiServer } from '@agent/kube'
import { Agent, request } from 'undici'
import { expect, test } from 'vitest'

import { createAuditTrail } from './audit.ts'
import { serveConsoleRequests } from './serve-console.ts'

const alice = { name: 'alice', groups: ['dev'] }
const query = { namespace: 'shop', pod: 'web-0', follow: true }

/** The proxy's end of the console, before an API server that `logs` answers for. */
async function start(options: { impersonate?: boolean; groups?: string[] } = {}) {
  const { impersonate = true, groups = ['dev'] } = options
  const scope = new AsyncDisposableStack()
  const bus = scope.use(createMemoryBus())
  const followed = Promise.withResolvers<{ user: unknown; response: ServerResponse }>()
  const server = createServer((asked, response) => {
    if (!asked.url?.includes('/log?')) return void answerReview(asked, response)
    followed.resolve({ user: asked.headers['impersonate-user'], response })
  }).listen(0, '127.0.0.1')
  async function answerReview(asked: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks = await asked.toArray()
    const { kind, spec } = JSON.parse(Buffer.concat(chunks as Buffer[]).toString()) as {
      kind: string
      spec: { token?: string; user?: string }
    }
    const status =
      kind === 'TokenReview'
        ? { authenticated: spec.token === 'good', user: { username: 'alice', groups } }
        : { allowed: spec.user === 'alice' }
    response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify({ status }))
  }
  await once(server, 'listening')
  const agent = new Agent()
  scope.defer(async () => {
    await agent.destroy()
    server.close().closeAllConnections()
  })
  const api = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    basePath: '',
    dispatcher: () => agent,
    authorization: () => 'Bearer own',
  } as unknown as ApiServer
  const audit = createAuditTrail(bus, () => {})
  scope.defer(() => audit.flush())
  await serveConsoleRequests(
    { bus, scope },
    { api, allowedServices: new Set() as never, impersonate, audit },
  )
  const timeoutMs = 2_000
  return {
    followed: followed.promise,
    review: (asker: { token: string } | { user: typeof alice }) =>
      bus.request(reviewAccess, { asker, verb: 'get' }, { timeoutMs }),
    logs: async (user = alice) =>
      (await bus.request(openPodLogs, { query, user }, { timeoutMs })).url,
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  }
}

test('a token and a user of the tunnel come in by RBAC alone', async () => {
  await using proxy = await start()
  expect(await proxy.review({ token: 'good' })).toMatchObject({ allowed: true, user: alice })
  expect(await proxy.review({ token: 'bad' })).toMatchObject({ allowed: false, user: null })
  expect(await proxy.review({ user: { ...alice, name: 'bob' } })).toMatchObject({ allowed: false })
})

test('a user with more groups than can be carried is refused in words', async () => {
  await using proxy = await start({ groups: Array.from({ length: 65 }, (_, index) => `g${index}`) })
  expect(await proxy.review({ token: 'good' })).toMatchObject({
    allowed: false,
    reason: expect.stringContaining('groups'),
  })
})

test('without impersonation no token of the cluster and nobody unknown reads with the agent’s credential', async () => {
  await using proxy = await start({ impersonate: false })
  expect(await proxy.review({ token: 'good' })).toMatchObject({ allowed: false })
  expect(await proxy.review({ user: { ...alice, name: 'bob' } })).toMatchObject({ allowed: true })
  await expect(proxy.logs({ name: 'system:anonymous', groups: [] })).rejects.toThrow(
    'impersonation',
  )
})

test('a log is read as its reader, served once, and ends upstream when the reader goes', async () => {
  await using proxy = await start()
  const url = await proxy.logs()
  const gone = new AbortController()
  const reading = request(url, { signal: gone.signal })
  const { user, response } = await proxy.followed
  expect(user).toBe('alice')
  expect((await request(url)).statusCode).toBe(404)
  response.writeHead(200).write('first\n')
  expect((await reading).statusCode).toBe(200)
  const ended = once(response, 'close')
  gone.abort()
  await ended
})
