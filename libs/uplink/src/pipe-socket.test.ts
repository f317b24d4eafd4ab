import { Duplex } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'

import type { Stream } from '@agent/streams'
import { expect, test, vi } from 'vitest'

import { pipeSocket } from './pipe-socket.ts'

test('bytes that wait for a slow socket do not keep the messages they came in', async () => {
  const written: Buffer[] = []
  let goOn = (): void => {}
  const socket = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk)
      goOn = () => {
        goOn = () => {}
        done()
      }
    },
  })
  let consumed = 0
  const stream = { consume: (bytes: number) => void (consumed += bytes) } as unknown as Stream
  const handler = pipeSocket(stream, socket, { hop: 'client' })
  const messages = Array.from({ length: 200 }, (_, index) => Buffer.alloc(65_536, index))
  for (const message of messages) handler.onData(message.subarray(1_000, 1_512))
  for (let turn = 0; turn < 2 * messages.length; turn++) {
    goOn()
    await nextTurn()
  }
  expect(Buffer.concat(written)).toEqual(
    Buffer.concat(messages.map((message) => message.subarray(0, 512))),
  )
  const held = written.slice(1).reduce((sum, { buffer }) => sum + buffer.byteLength, 0)
  expect(held).toBe(199 * 512)
  expect(consumed).toBe(200 * 512)
})

test.each([
  ['api-server', false],
  ['client', true],
] as const)(
  'the %s closed in good order: is the stream cut off after a minute? %s',
  async (hop, isCut) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
      let resets = 0
      const stream = {
        peerEnded: false,
        consume() {},
        write: () => true,
        end() {},
        reset: () => void resets++,
      } as unknown as Stream
      const handler = pipeSocket(stream, socket, { hop })
      socket.push('the last bytes, which the reader has yet to take')
      socket.push(null)
      socket.end()
      await nextTurn()
      await nextTurn()
      expect(socket.destroyed).toBe(true)
      vi.advanceTimersByTime(60_000)
      expect(resets).toBe(Number(isCut))
      handler.onEnd()
    } finally {
      vi.useRealTimers()
    }
  },
)
