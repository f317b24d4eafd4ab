import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'

import { defaultWindows } from '@agent/contracts'
import { eventually } from '@agent/testing'
import { runSession } from '@agent/uplink'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'

import { answerWith } from '../control-plane.testing.ts'
import { createStreamConnections } from '../stream-connections.ts'
import { keepGeneratedTls } from '../tls.ts'
import { createKubectlEndpoint, type KubectlDeps } from './endpoint.ts'

const body = Buffer.alloc(1_048_576)
const answers = 8
const unreadMs = 400

/** The endpoint on a TLS port, and a client that asks for more than a kernel holds. */
async function startStalledClient() {
  const scope = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'endpoint-'))
  scope.defer(() => rm(dir, { recursive: true }))
  const { cert, key, ca = '' } = await keepGeneratedTls(dir, [])
  const connections = createStreamConnections(pino({ level: 'silent' }))
  const user = { name: 'alice', groups: [] }
  const deps = {
    users: {
      authenticate: () => ({
        user,
        clusters: '*',
        tokenId: 't',
        tokenHash: 'h',
        expiresAtMs: undefined,
      }),
      onRevoked: () => ({ [Symbol.dispose]() {} }),
    },
    clusters: { find: () => ({ id: 'c', name: 'east' }) },
    connections,
    metrics: { request() {} },
    waitMs: 5_000,
    unreadMs,
  } as unknown as KubectlDeps
  const endpoint = scope.use(createKubectlEndpoint(deps))
  const server = createServer({ cert, key })
  server.on('request', (request, response) => endpoint.handle(request, response))
  server.on('upgrade', (request, socket, head) => {
    connections.accept(request, socket, head, { clusterId: 'c', agentTokenId: 't', instance: 'i' })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  scope.defer(async () => {
    const closed = once(server, 'close')
    server.close().closeAllConnections()
    await closed
  })
  const { port } = server.address() as AddressInfo

  const socket = new WebSocket(`wss://localhost:${port}`, { ca })
  await once(socket, 'open')
  scope.defer(() => socket.terminate())
  const handler = { onOpen: answerWith(200, body) }
  runSession(socket, { role: 'dialer', windows: defaultWindows, handler })

  const client = connect({ port, host: 'localhost', ca }).on('error', () => {})
  scope.defer(() => void client.destroy())
  await once(client, 'secureConnect')
  client.pause()
  const head = 'GET /api/v1/clusters/agent/east/proxy/api HTTP/1.1\r\nHost: localhost\r\n\r\n'
  client.write(head.repeat(answers))
  await eventually(
    () => {
      const stats = connections.list('c')[0]?.stats
      return stats?.opened === answers && stats.streams === 0
    },
    { deadlineMs: 5_000, what: 'the end of the streams' },
  )
  return { endpoint, client, [Symbol.asyncDispose]: () => scope.disposeAsync() }
}

test('a client that reads nothing of a complete answer is given up', async () => {
  await using stalled = await startStalledClient()
  // Also those that wait behind the answer which the client does not read.
  expect(stalled.endpoint.active).toBeGreaterThan(2)
  await eventually(() => stalled.endpoint.active === 0, { deadlineMs: 5_000, what: 'the end' })
})

test('a client that reads slowly gets all of it', async () => {
  await using stalled = await startStalledClient()
  const startedMs = performance.now()
  let bytes = 0
  stalled.client.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    stalled.client.pause()
    setTimeout(() => stalled.client.resume(), 5)
  })
  stalled.client.resume()
  await eventually(() => bytes > answers * body.length, { deadlineMs: 20_000, what: 'the answers' })
  expect(performance.now() - startedMs).toBeGreaterThan(2 * unreadMs)
})
