import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { AgentError, defaultWindows } from '@agent/contracts'
import { eventually } from '@agent/testing'
import { dialWebSocket, runSession } from '@agent/uplink'
import { pino } from 'pino'
import { expect, test } from 'vitest'

import { createStreamConnections } from './stream-connections.ts'

const claims = { clusterId: 'east', agentId: 'a', kind: 'proxy', tokenId: 't' } as never
const hourMs = 3_600_000

/** A cluster's connection that has been up for an hour. */
async function startConnected() {
  const scope = new AsyncDisposableStack()
  let nowMs = 0
  const connections = createStreamConnections(pino({ level: 'silent' }), () => nowMs)
  const server = createServer().on('upgrade', (request, socket, head) =>
    connections.accept(request, socket, head, claims),
  )
  scope.defer(() => new Promise<void>((resolve) => server.close(() => resolve())))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const common = { token: 't', ca: undefined, maxPayloadBytes: 65_536 }
  const socket = await dialWebSocket({ ...common, url, signal: AbortSignal.timeout(5_000) })
  const { session, closed } = runSession(socket, {
    role: 'dialer',
    windows: defaultWindows,
    handler: {
      onOpen() {
        throw new AgentError('protocol', 'nothing is opened here')
      },
    },
  })
  scope.defer(async () => {
    connections.cut(() => true, new AgentError('cancelled', 'the test is over'))
    await closed
  })
  await eventually(() => connections.pick('east'), { deadlineMs: 2_000, what: 'a connection' })
  nowMs = hourMs
  return {
    connections,
    session,
    later: (ms: number) => (nowMs += ms),
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  }
}

test('a connection that drains, or is being closed, has been missed for no time', async () => {
  await using run = await startConnected()
  const { connections } = run
  run.session.drain({ reason: 'the agent stops', retryAfterMs: 0 })
  await eventually(() => connections.pick('east') === undefined, {
    deadlineMs: 2_000,
    what: 'a connection that takes no more streams',
  })
  expect(connections.missingMs('east')).toBe(0)
  connections.cut(() => true, new AgentError('connection-lost', 'gone'))
  expect(connections.missingMs('east')).toBe(0)
})

test('one that has gone is missed from then on, one that never came since the start', async () => {
  await using run = await startConnected()
  run.session.close(new AgentError('connection-lost', 'gone'))
  await eventually(() => run.connections.list('east').length === 0, {
    deadlineMs: 5_000,
    what: 'the end of the connection',
  })
  run.later(2_000)
  expect(run.connections.missingMs('east')).toBe(2_000)
  expect(run.connections.missingMs('west')).toBe(hourMs + 2_000)
})
