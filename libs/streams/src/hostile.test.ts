import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import type { AgentError } from '@agent/contracts'
import { expect, test } from 'vitest'

import { encodeFrame, FrameType } from './frame.ts'
import { smallWindows } from './pair.testing.ts'
import { encodeUint32 } from './payloads.ts'
import { createRandom } from './random.testing.ts'
import { Session } from './session.ts'
import type { Stream } from './stream.ts'

function victim(options: { maxStreams?: number } = {}) {
  const clock = { nowMs: 0 }
  const state: { closed?: AgentError; resets: AgentError[] } = { resets: [] }
  const streams: Stream[] = []
  const session = new Session(
    { role: 'listener', windows: smallWindows, now: () => clock.nowMs, ...options },
    {
      onOpen(stream) {
        streams.push(stream)
        return { onData() {}, onEnd() {}, onReset: (error) => void state.resets.push(error) }
      },
      onReady() {},
      onClose: (error) => void (state.closed = error),
    },
  )
  return { session, state, clock, streams }
}

function open(id: number, body = '', fin = false): Buffer {
  return encodeFrame(FrameType.open, id, Buffer.from(`\0\x02{}${body}`), fin)
}
const data = (id: number, bytes: number, fin = false): Buffer =>
  encodeFrame(FrameType.data, id, Buffer.alloc(bytes), fin)
const credit = (id: number, bytes: number): Buffer =>
  encodeFrame(FrameType.credit, id, encodeUint32(bytes))

test.each([
  ['an id used before', [open(1), open(1)], 'protocol'],
  ['an id of the wrong side', [open(2)], 'protocol'],
  ['id zero', [open(0)], 'protocol'],
  ['data on a stream that never was', [data(7, 1)], 'protocol'],
  [
    'a reset of a stream that never was',
    [encodeFrame(FrameType.reset, 9, Buffer.from('{}'))],
    'protocol',
  ],
  ['credit for a stream that never was', [credit(9, 1)], 'protocol'],
  ['a session credit of zero', [credit(0, 0)], 'flow-control'],
  ['a session credit beyond 2³¹', [credit(0, 0x7fff_ffff)], 'flow-control'],
  ['a CREDIT cut short', [encodeFrame(FrameType.credit, 0, Buffer.alloc(3))], 'protocol'],
  ['a SYNC cut short', [encodeFrame(FrameType.sync, 0, Buffer.alloc(6))], 'protocol'],
  [
    'a head that is not JSON',
    [encodeFrame(FrameType.open, 1, Buffer.from('\0\x02{x'))],
    'protocol',
  ],
  ['a head cut short', [encodeFrame(FrameType.open, 1, Buffer.from('\0\x09{}'))], 'protocol'],
  ['a GOAWAY that is not JSON', [encodeFrame(FrameType.goAway, 0, Buffer.from('x'))], 'protocol'],
])('%s closes the session with a reason', (_name, frames, code) => {
  const { session, state } = victim()
  for (const frame of frames) session.receive(frame)
  expect(state.closed).toMatchObject({ code })
  expect(session.take()).toBeUndefined()
})

test.each([
  ['data after the end', [open(1, '', true), data(1, 1)], 'protocol'],
  [
    'a head from the side that asked',
    [open(1), encodeFrame(FrameType.head, 1, Buffer.from('\0\x02{}'))],
    'protocol',
  ],
  ['a stream credit of zero', [open(1), credit(1, 0)], 'flow-control'],
  ['a stream credit beyond 2³¹', [open(1), credit(1, 0x7fff_ffff)], 'flow-control'],
  ['more than the stream’s credit', [open(1), data(1, 65_000), data(1, 1_000)], 'flow-control'],
])('%s ends the stream with a reason and leaves the session alone', (_name, frames, code) => {
  const { session, state } = victim()
  for (const frame of frames) session.receive(frame)
  const answer = session.take()?.toString('latin1') ?? ''
  expect(answer).toContain(`"code":"${code}"`)
  expect(state.closed).toBeUndefined()
  expect(session.stats).toMatchObject({ streams: 0, unconsumedBytes: 0 })
})

test('more data than the session’s credit closes it', () => {
  const { session, state } = victim()
  for (let id = 1; state.closed === undefined && id < 100; id += 2) {
    session.receive(open(id))
    session.receive(data(id, 65_000))
  }
  expect(state.closed).toMatchObject({ code: 'flow-control' })
})

test('a million OPENs leave at most the allowed streams, and no memory behind', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const { session, state } = victim({ maxStreams: 1_000 })
  collect()
  const before = process.memoryUsage().heapUsed
  for (let turn = 0; turn < 1_000_000; turn++) {
    session.receive(open(2 * turn + 1))
    if (turn % 64 === 0) while (session.take() !== undefined);
  }
  while (session.take() !== undefined);
  collect()
  const grownMiB = (process.memoryUsage().heapUsed - before) / 2 ** 20
  expect(session.stats.streams).toBe(1_000)
  expect(state.closed).toBeUndefined()
  expect(grownMiB).toBeLessThan(8)
}, 60_000)

test('a peer that causes answers and reads none is cut off at one megabyte', () => {
  const { session, state } = victim()
  const ping = encodeFrame(FrameType.ping, 0, Buffer.alloc(8))
  let sent = 0
  while (state.closed === undefined && sent++ < 1_000_000) session.receive(ping)
  expect(state.closed).toMatchObject({ code: 'protocol' })
  expect(sent).toBeLessThan(70_000)
})

/** A session whose answers fill their queue to the last byte: the next one is too many. */
function almostFull() {
  const it = victim()
  it.session.receive(open(1))
  const ping = encodeFrame(FrameType.ping, 0, Buffer.alloc(8))
  for (let sent = 0; sent < 1_048_576 / ping.length; sent++) it.session.receive(ping)
  expect(it.state.closed).toBeUndefined()
  return it
}

test.each<[string, (session: Session) => void]>([
  ['a ping of our own', (session) => session.tick()],
  ['a good-bye', (session) => session.drain({ reason: 'roll-out', retryAfterMs: 0 })],
])(
  '%s that no longer fits behind unread answers closes the session and throws nothing',
  (_name, act) => {
    const { session, state } = almostFull()
    act(session)
    expect(state.closed).toMatchObject({ code: 'protocol' })
    expect(state.resets).toHaveLength(1)
    session.tick()
    expect(session.take()).toBeUndefined()
  },
)

test('credit leaves together with a full queue of answers', () => {
  const { session, state, streams } = almostFull()
  session.receive(data(1, 60_000))
  streams[0]?.consume(60_000)
  expect(session.take()).toHaveLength(1_048_576 + credit(1, 60_000).length)
  expect(state.closed).toBeUndefined()
})

test('random bytes never cause an exception and never go unanswered', () => {
  const random = createRandom(20_261_121)
  for (let round = 0; round < 3_000; round++) {
    const { session, state, clock } = victim()
    session.receive(open(1))
    for (let turn = 0; turn < 20 && state.closed === undefined; turn++) {
      const bytes = Buffer.from(
        Array.from({ length: random.below(64) + 1 }, () => random.below(256)),
      )
      // Half of them begin like frames, so that the noise gets past the header.
      if (random.below(2) === 0 && bytes.length >= 8) {
        bytes[0] = 1 + random.below(9)
        bytes[1] = random.below(2)
        bytes.writeUInt16BE(bytes.length - 8, 2)
        bytes.writeUInt32BE(random.below(6), 4)
      }
      session.receive(bytes)
      clock.nowMs += 100
      session.tick()
      session.take()
    }
    expect(session.stats.unconsumedBytes).toBeLessThanOrEqual(smallWindows.session)
  }
})
