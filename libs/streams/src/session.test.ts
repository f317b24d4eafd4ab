import { AgentError } from '@agent/contracts'
import { expect, test } from 'vitest'

import { encodeFrame, FrameType } from './frame.ts'
import { createPair, smallWindows } from './pair.testing.ts'
import { encodeSync } from './payloads.ts'
import type { Stream, StreamHandler } from './stream.ts'

type Seen = { data: string; heads: unknown[]; ended: number; reset: AgentError[]; drains: number }

function recorder(options: { consume?: boolean } = {}): StreamHandler & Seen & { stream?: Stream } {
  const self: StreamHandler & Seen & { stream?: Stream } = {
    data: '',
    heads: [],
    ended: 0,
    reset: [],
    drains: 0,
    onHead: (head) => void self.heads.push(head),
    onData(bytes) {
      self.data += bytes.toString('latin1')
      if (options.consume !== false) self.stream?.consume(bytes.length)
    },
    onEnd: () => void self.ended++,
    onReset: (error) => void self.reset.push(error),
    onDrain: () => void self.drains++,
  }
  return self
}

function openOne(pair: ReturnType<typeof createPair>, seen = recorder()) {
  const stream = pair.dialer.open({ kind: 'test' }, seen)
  seen.stream = stream
  return { stream, seen }
}

function acceptor(options: { consume?: boolean } = {}) {
  const accepted: { stream: Stream; seen: ReturnType<typeof recorder>; head: unknown }[] = []
  return {
    accepted,
    onOpen(stream: Stream, head: unknown) {
      const seen = recorder(options)
      seen.stream = stream
      accepted.push({ stream, seen, head })
      return seen
    },
  }
}

test('a request and its answer travel as one frame each way, and both sides forget the stream', () => {
  const { accepted, onOpen } = acceptor()
  const pair = createPair(onOpen)
  const { stream, seen } = openOne(pair)
  stream.end(Buffer.from('ask'))
  pair.flush()
  expect(pair.wires.toListener.length).toBe(8 + 2 + '{"kind":"test"}'.length + 3)
  pair.settle()
  const [server] = accepted
  expect(server).toMatchObject({ head: { kind: 'test' }, seen: { data: 'ask', ended: 1 } })
  server?.stream.sendHead(FrameType.head, { status: 200 })
  server?.stream.end(Buffer.from('answer'))
  pair.settle()
  expect(seen).toMatchObject({ data: 'answer', heads: [{ status: 200 }], ended: 1, reset: [] })
  expect(pair.dialer.stats.streams + pair.listener.stats.streams).toBe(0)
})

test('each direction ends by itself, in either order', () => {
  const { accepted, onOpen } = acceptor()
  const pair = createPair(onOpen)
  const { stream, seen } = openOne(pair)
  pair.settle()
  accepted[0]?.stream.end(Buffer.from('early'))
  pair.settle()
  expect(seen).toMatchObject({ data: 'early', ended: 1 })
  stream.end(Buffer.from('late'))
  pair.settle()
  expect(accepted[0]?.seen).toMatchObject({ data: 'late', ended: 1, reset: [] })
  expect(pair.dialer.stats.streams).toBe(0)
})

test('a reset carries code, hop and reason, drops what was queued, and comes once', () => {
  const { accepted, onOpen } = acceptor()
  const pair = createPair(onOpen)
  const { stream, seen } = openOne(pair)
  stream.write(Buffer.alloc(1_000))
  pair.settle()
  stream.write(Buffer.alloc(1_000))
  stream.reset(new AgentError('cancelled', 'enough'))
  pair.settle()
  const [error] = accepted[0]?.seen.reset ?? []
  expect(error).toMatchObject({ code: 'cancelled', hop: 'client', message: 'enough' })
  expect(accepted[0]?.seen.data).toHaveLength(1_000)
  expect(seen.reset).toEqual([])
  expect(pair.listener.stats.streams).toBe(0)
})

test('a stream reset before its OPEN left never reaches the peer', () => {
  const { accepted, onOpen } = acceptor()
  const pair = createPair(onOpen)
  openOne(pair).stream.reset(new AgentError('cancelled', 'changed my mind'))
  pair.settle()
  expect(accepted).toEqual([])
  expect(pair.dialer.stats.streams).toBe(0)
})

test('a consumer that takes nothing stops its sender at one window, and no other stream', () => {
  const { accepted, onOpen } = acceptor({ consume: false })
  const pair = createPair(onOpen)
  const slow = openOne(pair).stream
  for (let sent = 0; sent < 10; sent++) slow.write(Buffer.alloc(65_536))
  pair.settle()
  expect(accepted[0]?.seen.data).toHaveLength(smallWindows.stream)
  const quick = openOne(pair).stream
  quick.end(Buffer.from('hello'))
  pair.settle()
  expect(accepted[1]?.seen).toMatchObject({ data: 'hello', ended: 1 })
  accepted[0]?.stream.consume(smallWindows.stream)
  pair.settle()
  expect(accepted[0]?.seen.data).toHaveLength(2 * smallWindows.stream)
})

test('a window that limits a fast consumer over a long path grows to its maximum', () => {
  const { accepted, onOpen } = acceptor()
  const pair = createPair(onOpen)
  const rttMs = 100
  pair.dialer.tick()
  pair.listener.tick()
  pair.flush()
  pair.clock.nowMs += rttMs
  pair.settle()
  const { stream } = openOne(pair)
  for (let turn = 0; turn < 40; turn++) {
    stream.write(Buffer.alloc(262_144))
    pair.clock.nowMs += 1
    pair.settle()
  }
  expect(accepted[0]?.stream.receiveWindow.size).toBe(smallWindows.streamMax)
})

test('10,000 streams that are abandoned with unread data cost the session no credit', () => {
  const { accepted, onOpen } = acceptor({ consume: false })
  const pair = createPair(onOpen)
  for (let turn = 0; turn < 10_000; turn++) {
    const { stream } = openOne(pair)
    stream.write(Buffer.alloc(1_000))
    pair.settle()
    const server = accepted.pop()
    expect(server?.seen.data).toHaveLength(1_000)
    if (turn % 2 === 0) server?.stream.reset(new AgentError('cancelled', 'unread'))
    else stream.reset(new AgentError('cancelled', 'unread'))
    pair.settle()
  }
  expect(pair.listener.stats).toMatchObject({ streams: 0, unconsumedBytes: 0 })
  expect(pair.closed).toEqual({})
})

test('a handler that throws loses its stream and nothing else', () => {
  let turn = 0
  const { accepted, onOpen } = acceptor()
  const pair = createPair((stream, head) => {
    if (turn++ === 0) throw new AgentError('forbidden', 'not this one', { hop: 'policy' })
    return onOpen(stream, head)
  })
  const refused = openOne(pair)
  refused.stream.write(Buffer.from('body'))
  const served = openOne(pair)
  served.stream.end(Buffer.from('fine'))
  pair.settle()
  expect(refused.seen.reset[0]).toMatchObject({ code: 'forbidden', hop: 'policy' })
  expect(accepted[0]?.seen).toMatchObject({ data: 'fine', ended: 1 })
  expect(pair.closed).toEqual({})
})

test('a draining session finishes what it has and takes nothing new', () => {
  const { accepted, onOpen } = acceptor()
  const pair = createPair(onOpen)
  const { stream } = openOne(pair)
  pair.settle()
  const late = openOne(pair)
  pair.listener.drain({ reason: 'roll-out', retryAfterMs: 5 })
  pair.settle()
  expect(late.seen.reset[0]).toMatchObject({ code: 'draining' })
  expect(() => openOne(pair)).toThrow(expect.objectContaining({ code: 'draining' }))
  stream.end(Buffer.from('last words'))
  pair.settle()
  expect(accepted[0]?.seen).toMatchObject({ data: 'last words', ended: 1 })
})

test('SYNC ends what the peer forgot and nothing that is merely young', () => {
  const { onOpen } = acceptor()
  const pair = createPair(onOpen, { syncIntervalMs: 50 })
  const { stream, seen } = openOne(pair)
  pair.settle()
  const young = openOne(pair)
  pair.clock.nowMs += 60
  pair.listener.tick()
  pair.settle()
  expect([seen.reset, young.seen.reset]).toEqual([[], []])
  // A peer that lost a stream's end: it knows of ids up to this one, and of none that is live.
  pair.dialer.receive(Buffer.from([9, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, stream.id]))
  expect(seen.reset[0]).toMatchObject({ code: 'connection-lost' })
  expect(young.seen.reset).toEqual([])
})

test('a SYNC of more streams than fit one frame ends nothing that lives, and what is missing from it', () => {
  const count = 20_000
  const pair = createPair(acceptor().onOpen, { syncIntervalMs: 50, maxStreams: count })
  const opened = Array.from({ length: count }, () => openOne(pair))
  pair.settle()
  expect(pair.listener.stats.streams).toBe(count)
  pair.clock.nowMs += 60
  pair.listener.tick()
  pair.dialer.tick()
  pair.settle()
  expect(pair.closed).toEqual({})
  expect(opened.flatMap(({ seen }) => seen.reset)).toEqual([])
  // The same list again, in two frames, without its last id.
  const [first, second] = encodeSync(
    2 * count - 1,
    opened.slice(0, -1).map(({ stream }) => stream.id),
  )
  pair.dialer.receive(encodeFrame(FrameType.sync, 0, first as Buffer))
  expect(opened.flatMap(({ seen }) => seen.reset)).toEqual([])
  pair.dialer.receive(encodeFrame(FrameType.sync, 0, second as Buffer, true))
  expect(opened.at(-1)?.seen.reset[0]).toMatchObject({ code: 'connection-lost' })
  expect(pair.dialer.stats.streams).toBe(count - 1)
})

test('more streams than the peer takes are refused here, and there is room again when one ends', () => {
  const pair = createPair(acceptor().onOpen, { maxStreams: 2 })
  const { stream } = openOne(pair)
  openOne(pair)
  expect(() => openOne(pair)).toThrow(expect.objectContaining({ code: 'too-many-streams' }))
  pair.settle()
  stream.reset(new AgentError('cancelled', 'enough'))
  openOne(pair)
  pair.settle()
  expect(pair.listener.stats).toMatchObject({ streams: 2 })
})

test('a writer that fails when it may go on loses its stream and nothing else', () => {
  const pair = createPair(acceptor().onOpen)
  const failing = recorder()
  failing.onDrain = () => {
    throw new Error('no more')
  }
  const { stream } = openOne(pair, failing)
  stream.write(Buffer.alloc(1_000_000))
  pair.settle()
  expect(failing.reset[0]).toMatchObject({ message: 'no more' })
  expect(pair.closed).toEqual({})
})

test('a silent peer is dead after nine seconds, and every stream learns why', () => {
  const pair = createPair(acceptor().onOpen)
  const { seen } = openOne(pair)
  pair.settle()
  pair.clock.nowMs += 8_999
  pair.dialer.tick()
  expect(pair.closed.dialer).toBeUndefined()
  pair.clock.nowMs += 1
  pair.dialer.tick()
  expect(pair.closed.dialer).toMatchObject({ code: 'connection-lost' })
  expect(seen.reset[0]).toMatchObject({ code: 'connection-lost' })
})

test('under memory pressure the stream read longest ago ends, and only under pressure', () => {
  const { accepted, onOpen } = acceptor({ consume: false })
  const pair = createPair(onOpen)
  const streams = Array.from({ length: 13 }, () => openOne(pair))
  const fill = (index: number): void => {
    streams[index]?.stream.write(Buffer.alloc(65_536))
    pair.clock.nowMs += 1
    pair.settle()
  }
  for (let index = 0; index < 11; index++) fill(index)
  pair.clock.nowMs += 8_000
  pair.listener.tick()
  pair.settle()
  pair.clock.nowMs += 8_000
  pair.listener.tick()
  pair.settle()
  expect(accepted.flatMap(({ seen }) => seen.reset)).toEqual([])
  fill(11)
  pair.listener.tick()
  pair.settle()
  const ended = streams.filter(({ seen }) => seen.reset.length > 0)
  expect(ended).toHaveLength(1)
  expect(ended[0]?.seen.reset[0]).toMatchObject({ code: 'slow-consumer' })
})

test('two bulk streams share the wire, and a small one overtakes both', () => {
  const order: number[] = []
  const pair = createPair((stream) => ({
    onData(bytes) {
      order.push(stream.id)
      stream.consume(bytes.length)
    },
    onEnd() {},
    onReset() {},
  }))
  const [a, b, small] = [openOne(pair), openOne(pair), openOne(pair)].map(({ stream }) => stream)
  pair.settle()
  a?.write(Buffer.alloc(65_536))
  b?.write(Buffer.alloc(65_536))
  small?.write(Buffer.from('key stroke'))
  const first = pair.dialer.take()
  pair.listener.receive(first as Buffer)
  expect(order).toEqual([small?.id, a?.id, b?.id])
})
