import { AgentError, defineEvent, defineRequest } from '@agent/contracts'
import { eventually, startNats } from '@agent/testing'
import { resolveTool } from '@agent/toolbox'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'

import type { Bus } from './bus.ts'
import { createMemoryBus } from './memory.ts'
import { connectNatsBus } from './nats.ts'

const log = { info() {}, warn() {} }
const double = defineRequest({
  subject: 'agent.test.double',
  input: z.strictObject({ value: z.number() }),
  output: z.strictObject({ value: z.number() }),
})
const echo = defineRequest({
  subject: 'agent.test.echo',
  input: z.strictObject({ text: z.string() }),
  output: z.strictObject({ text: z.string() }),
})
const told = defineEvent({
  subject: 'agent.test.told',
  payload: z.strictObject({ text: z.string() }),
})

const scope = new AsyncDisposableStack()
let natsUrl = ''
beforeAll(async () => {
  natsUrl = scope.use(await startNats(await resolveTool('nats-server'))).url
})
afterAll(() => scope.disposeAsync())

const implementations: [string, () => Promise<Bus>][] = [
  ['memory', async () => createMemoryBus()],
  ['nats', () => connectNatsBus({ url: natsUrl, token: undefined, name: 'test', log })],
]

describe.each(implementations)('the %s bus', (_name, open) => {
  test('an answer comes back to who asked', async () => {
    await using bus = await open()
    await using _serving = bus.serve(double, async ({ value }) => ({ value: value * 2 }))
    expect(await bus.request(double, { value: 21 }, { timeoutMs: 1_000 })).toEqual({ value: 42 })
  })

  test('a failure keeps its code, hop, message and retry-after', async () => {
    await using bus = await open()
    await using _serving = bus.serve(double, async () => {
      throw new AgentError('draining', 'later', { hop: 'connection', retryAfterMs: 7 })
    })
    await expect(bus.request(double, { value: 1 }, { timeoutMs: 1_000 })).rejects.toMatchObject({
      code: 'draining',
      hop: 'connection',
      message: 'later',
      retryAfterMs: 7,
    })
  })

  test('what is served and listened to is counted until it ends', async () => {
    await using bus = await open()
    {
      await using _serving = bus.serve(double, async ({ value }) => ({ value }))
      await using _listening = bus.subscribe(told, () => {})
      expect(bus.subscriptions).toBe(2)
    }
    expect(bus.subscriptions).toBe(0)
  })

  test('nobody there is `unavailable`, at once', async () => {
    await using bus = await open()
    await expect(bus.request(double, { value: 1 }, { timeoutMs: 60_000 })).rejects.toMatchObject({
      code: 'unavailable',
    })
  })

  test('an answer that takes too long is `timeout`; a cancelled wait ends at once', async () => {
    await using bus = await open()
    await using _serving = bus.serve(double, () => new Promise(() => {}))
    await expect(bus.request(double, { value: 1 }, { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'timeout',
    })
    const abort = new AbortController()
    const asking = bus.request(double, { value: 1 }, { timeoutMs: 60_000, signal: abort.signal })
    abort.abort()
    await expect(asking).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('events reach every listener until it stops listening', async () => {
    await using bus = await open()
    const heard: string[] = []
    const first = bus.subscribe(told, ({ text }) => void heard.push(`first ${text}`))
    await using _second = bus.subscribe(told, ({ text }) => void heard.push(`second ${text}`))
    bus.publish(told, { text: 'a' })
    await eventually(() => heard.length === 2, { deadlineMs: 1_000, what: 'both listeners' })
    await first[Symbol.asyncDispose]()
    bus.publish(told, { text: 'b' })
    await eventually(() => heard.length === 3, { deadlineMs: 1_000, what: 'the one listener' })
    expect(heard.toSorted()).toEqual(['first a', 'second a', 'second b'])
  })

  test('what is too large is told to who asks, and never thrown at who tells', async () => {
    await using bus = await open()
    const heard: string[] = []
    await using _listening = bus.subscribe(told, ({ text }) => void heard.push(text))
    await using _serving = bus.serve(echo, async () => ({ text: 'x'.repeat(262_144) }))
    bus.publish(told, { text: 'x'.repeat(262_144) })
    bus.publish(told, { text: 7 } as never)
    expect(bus.refusedMessages).toBe(2)
    for (const text of ['x'.repeat(262_144), 'short']) {
      await expect(bus.request(echo, { text }, { timeoutMs: 1_000 })).rejects.toMatchObject({
        code: 'bad-request',
        message: expect.stringContaining('262144 are allowed'),
      })
    }
    bus.publish(told, { text: 'fits' })
    await eventually(() => heard.length > 0, { deadlineMs: 1_000, what: 'the event that fits' })
    expect(heard).toEqual(['fits'])
  })

  test('a listener that fails is counted, and hears the next event', async () => {
    await using bus = await open()
    const heard: string[] = []
    await using _listening = bus.subscribe(told, ({ text }) => {
      if (text === 'bad') throw new Error('cannot')
      heard.push(text)
    })
    bus.publish(told, { text: 'bad' })
    bus.publish(told, { text: 'good' })
    await eventually(() => heard.length > 0, { deadlineMs: 1_000, what: 'the second event' })
    expect(bus.refusedMessages).toBe(1)
  })

  test('what does not fit the contract is refused at both ends', async () => {
    await using bus = await open()
    await using _serving = bus.serve(double, async () => ({ value: 'no' }) as never)
    await expect(
      bus.request(double, { value: 'no' } as never, { timeoutMs: 1_000 }),
    ).rejects.toThrow()
    await expect(bus.request(double, { value: 1 }, { timeoutMs: 1_000 })).rejects.toMatchObject({
      code: 'internal',
    })
  })
})
