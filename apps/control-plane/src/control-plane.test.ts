import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'

import { AgentError } from '@agent/contracts'
import { FrameType, type Session, type Stream } from '@agent/streams'
import { eventually } from '@agent/testing'
import { expect, test } from 'vitest'

import {
  answerWith,
  startTestControlPlane,
  type TestControlPlane,
} from './control-plane.testing.ts'

/** Answers of one window each, together more than a kernel holds for a client that does not read. */
const body = Buffer.alloc(1_048_576)
const answers = 8
const activeRequests = 'pipeops_control_plane_active_requests'

/** Sends requests for the cluster `east`, one behind the other. */
function ask(
  plane: TestControlPlane,
  socket: TLSSocket,
  options: { token?: string; upgrade?: boolean; times?: number } = {},
): void {
  const { token = plane.adminToken, upgrade = false, times = 1 } = options
  const lines = [
    'GET /api/v1/clusters/agent/east/proxy/api HTTP/1.1',
    'Host: localhost',
    `Authorization: Bearer ${token}`,
    ...(upgrade ? ['Connection: Upgrade', 'Upgrade: SPDY/3.1'] : []),
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`.repeat(times))
}

/** Everything that comes until the socket is closed. */
async function readAll(socket: TLSSocket): Promise<Buffer> {
  const chunks: Buffer[] = []
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.on('end', () => socket.end())
  socket.on('data', (chunk: Buffer) => void chunks.push(chunk)).resume()
  await closed
  return Buffer.concat(chunks)
}

/** A client whose answers have all left the agent, and which has read nothing of them. */
async function startStalledClient(
  plane: TestControlPlane,
  session: Session,
  token?: string,
): Promise<TLSSocket> {
  const client = await plane.openSocket()
  client.pause()
  ask(plane, client, { times: answers, ...(token === undefined ? {} : { token }) })
  await eventually(() => session.stats.opened === answers && session.stats.streams === 0, {
    deadlineMs: 5_000,
    what: 'the end of the streams',
  })
  return client
}

test('a stop finishes answers that a slow client still reads, and waits for no silent connection', async () => {
  await using plane = await startTestControlPlane()
  const session = await plane.connectAgent('east', answerWith(200, body))
  const silent = connect(plane.port, '127.0.0.1').on('error', () => {})
  const slow = await startStalledClient(plane, session)

  const startedMs = performance.now()
  const stopped = plane.stop()
  await eventually(() => !session.acceptsStreams, { deadlineMs: 2_000, what: 'the drain' })
  const received = await readAll(slow)
  await stopped

  expect(received.length).toBeGreaterThan(answers * body.length)
  expect(performance.now() - startedMs).toBeLessThan(8_000)
  await eventually(() => silent.closed, { deadlineMs: 1_000, what: 'the silent connection’s end' })
})

test('an answer to a body that is still being sent leaves the connection fit for the next request', async () => {
  await using plane = await startTestControlPlane()
  const windowBytes = 1_048_576
  await plane.connectAgent('east', (stream) => {
    let received = 0
    const answer = (): void => {
      stream.sendHead(FrameType.head, {
        status: 413,
        statusText: '',
        headers: ['Content-Length', '0'],
      })
      stream.end()
    }
    return {
      onData(bytes) {
        received += bytes.length
        // All that it was given credit for, so that the client has to wait just now.
        if (received === windowBytes) answer()
      },
      onEnd: () => received === 0 && answer(),
      onReset() {},
    }
  })
  const client = await plane.openSocket()
  let text = ''
  client.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const head = `POST /api/v1/clusters/agent/east/proxy/api HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${plane.adminToken}\r\n`
  client.write(`${head}Content-Length: ${4 * windowBytes}\r\n\r\n`)
  client.write(Buffer.alloc(4 * windowBytes))
  ask(plane, client)
  await eventually(() => text.match(/HTTP\/1.1 413/g)?.length === 2, {
    deadlineMs: 5_000,
    what: 'the second answer',
  })
  client.destroy()
})

test('a refused upgrade leaves neither socket nor stream behind, though the client never closes', async () => {
  await using plane = await startTestControlPlane()
  const session = await plane.connectAgent('east', answerWith(403, Buffer.from('no')))
  const refused = async (token: string): Promise<string> => {
    const client = await plane.openSocket()
    let text = ''
    client.on('data', (chunk: Buffer) => (text += chunk.toString()))
    ask(plane, client, { upgrade: true, token })
    await eventually(
      () => {
        // Only who writes learns that the other side is gone.
        client.write('x')
        return client.closed
      },
      { deadlineMs: 5_000, what: 'the close' },
    )
    return text
  }
  const answers = await Promise.all(['unknown', plane.adminToken].map(refused))
  expect(answers[0]).toMatch(/^HTTP\/1.1 401/)
  expect(answers[1]).toMatch(/^HTTP\/1.1 403/)
  expect(session.stats).toMatchObject({ opened: 1, streams: 0, resets: 0 })
})

test('a revoked user gets no more of an answer that waits to be read', async () => {
  await using plane = await startTestControlPlane()
  const session = await plane.connectAgent('east', answerWith(200, body))
  const made = await plane.admin.call('POST', '/api/v1/tokens', { user: 'alice' })
  const { token, id } = made as { token: string; id: string }
  const client = await startStalledClient(plane, session, token)
  await plane.admin.call('DELETE', `/api/v1/tokens/${id}`)
  expect((await readAll(client)).length).toBeLessThan(answers * body.length)
})

test('an agent has one canary under way on a connection, and the next when that one is over', async () => {
  await using plane = await startTestControlPlane()
  const probes: Stream[] = []
  const session = await plane.connectAgent('east', (probe) => {
    probes.push(probe)
    return { onData() {}, onEnd() {}, onReset() {} }
  })
  const tryCanary = (): Promise<string> =>
    new Promise((resolve) => {
      const stream = session.open(
        { kind: 'canary', step: 'request' },
        { onData() {}, onEnd: () => resolve('ok'), onReset: ({ code }) => resolve(code) },
      )
      stream.end()
    })

  const first = tryCanary()
  expect(await tryCanary()).toBe('too-many-streams')
  expect(probes).toHaveLength(1)
  probes[0]?.end()
  expect(await first).toBe('ok')
  const next = tryCanary()
  await eventually(() => probes[1], { deadlineMs: 2_000, what: 'the next probe' })
  probes[1]?.reset(new AgentError('timeout', 'no answer'))
  expect(await next).toBe('timeout')
  expect(session.stats.streams).toBe(0)
})

test('a user whose line leaves the static file loses what is under way, and nobody else does', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'tokens-'))
  await using _dir = { [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) }
  const file = join(dir, 'tokens.csv')
  await writeFile(file, 'a,alice,1\nb,bob,2\n')
  await using plane = await startTestControlPlane({ CONTROL_PLANE_TOKENS_FILE: file })
  const session = await plane.connectAgent('east', (stream) => {
    stream.sendHead(FrameType.head, { status: 200, statusText: 'OK', headers: [] })
    return { onData() {}, onEnd() {}, onReset() {} }
  })
  const [alice, bob] = [await plane.openSocket(), await plane.openSocket()]
  ask(plane, alice, { token: 'a' })
  ask(plane, bob, { token: 'b' })
  await eventually(() => session.stats.streams === 2, { deadlineMs: 2_000, what: 'two watches' })
  await writeFile(file, 'b,bob,2\n')
  await readAll(alice)
  expect(session.stats.streams).toBe(1)
  expect(bob.closed).toBe(false)
  bob.destroy()
})

test('an agent without stream connections is told apart from one that is away', async () => {
  await using plane = await startTestControlPlane({ CONTROL_PLANE_WAIT_SECONDS: '0.2' })
  const session = await plane.connectAgent('east', answerWith(200))
  const answer = async (): Promise<string> => {
    const client = await plane.openSocket()
    ask(plane, client)
    const [bytes] = (await once(client, 'data')) as [Buffer]
    client.destroy()
    return bytes.toString()
  }
  session.close(new AgentError('connection-lost', 'gone'))
  const noStreams = /^HTTP\/1.1 503 .*retry-after: 1\r.*connected but has no stream connection/is
  await eventually(async () => noStreams.test(await answer()), {
    deadlineMs: 5_000,
    what: 'an answer that says what is missing',
  })
})

test('a user revoked while waiting for an agent hears why', async () => {
  await using plane = await startTestControlPlane()
  const session = await plane.connectAgent('east', answerWith(200))
  session.close(new AgentError('connection-lost', 'gone'))
  await eventually(
    async () => {
      const { streamConnections } = (await plane.admin.call('GET', '/api/v1/clusters/east')) as {
        streamConnections: unknown[]
      }
      return streamConnections.length === 0
    },
    { deadlineMs: 2_000, what: 'the connection’s end' },
  )
  const made = await plane.admin.call('POST', '/api/v1/tokens', { user: 'alice' })
  const { token, id } = made as { token: string; id: string }
  const client = await plane.openSocket()
  ask(plane, client, { token })
  await eventually(
    async () => {
      const active = await plane.metrics.getSingleMetric(activeRequests)?.get()
      return active?.values[0]?.value === 1
    },
    { deadlineMs: 2_000, what: 'the wait' },
  )
  await plane.admin.call('DELETE', `/api/v1/tokens/${id}`)
  const [answer] = (await once(client, 'data')) as [Buffer]
  expect(answer.toString()).toMatch(/^HTTP\/1.1 401 .*"message":"the token \w+ was revoked/s)
  client.destroy()
})
