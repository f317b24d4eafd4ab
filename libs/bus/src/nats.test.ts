import { defineEvent, defineRequest } from '@agent/contracts'
import { eventually, startNats } from '@agent/testing'
import { resolveTool } from '@agent/toolbox'
import { expect, test } from 'vitest'
import * as z from 'zod'

import { connectNatsBus } from './nats.ts'

const ask = defineRequest({ subject: 'agent.test.ask', input: z.null(), output: z.string() })
const told = defineEvent({ subject: 'agent.test.told', payload: z.string() })

function createLog() {
  const lines: string[] = []
  const write = (_fields: unknown, text?: string): void =>
    void lines.push(text ?? (_fields as string))
  return { lines, info: write, warn: write }
}

test('refused logins are waited out, and the token of the moment is used for each', async () => {
  const program = await resolveTool('nats-server')
  const log = createLog()
  let current = 'one'
  let logins = 0
  const token = (): string => {
    logins++
    return current
  }
  const first = await startNats(program, { token: 'one' })
  const port = Number(new URL(first.url).port)
  await using bus = await connectNatsBus({ url: first.url, token, name: 'test', log })
  await using _serving = bus.serve(ask, async () => 'answer')
  await first[Symbol.asyncDispose]()
  await using _second = await startNats(program, { port, token: 'two' })
  const before = logins
  await eventually(() => logins >= before + 4, { deadlineMs: 15_000, what: 'four refused logins' })
  expect(bus.connected).toBe(false)
  await expect(bus.request(ask, null, { timeoutMs: 60_000 })).rejects.toMatchObject({
    code: 'unavailable',
  })
  current = 'two'
  await eventually(() => bus.connected, { deadlineMs: 10_000, what: 'the bus back' })
  expect(await bus.request(ask, null, { timeoutMs: 1_000 })).toBe('answer')
  expect(log.lines).toEqual(['bus lost', 'bus refuses the login', 'bus back'])
})

test('a server that is not there yet, or refuses, is told once and waited for until the signal', async () => {
  const log = createLog()
  const stopping = new AbortController()
  await using nats = await startNats(await resolveTool('nats-server'), { token: 'right' })
  let logins = 0
  const token = (): string => {
    logins++
    return 'wrong'
  }
  const opening = connectNatsBus({
    url: nats.url,
    token,
    name: 'test',
    log,
    signal: stopping.signal,
    random: () => 0,
  })
  opening.catch(() => {})
  await eventually(() => logins >= 3, { deadlineMs: 10_000, what: 'three refused logins' })
  stopping.abort()
  await expect(opening).rejects.toMatchObject({ code: 'cancelled' })
  expect(log.lines).toEqual(['bus not there yet'])
})

test('a server that is there and reads nothing makes nobody keep more than a few megabytes', async () => {
  await using nats = await startNats(await resolveTool('nats-server'))
  await using bus = await connectNatsBus({
    url: nats.url,
    token: undefined,
    name: 'test',
    log: createLog(),
  })
  const text = 'x'.repeat(200_000)
  nats.child.kill('SIGSTOP')
  for (let sent = 0; sent < 100; sent++) bus.publish(told, text)
  expect(bus.refusedMessages).toBe(80)
  nats.child.kill('SIGCONT')
  await eventually(
    () => {
      const before = bus.refusedMessages
      bus.publish(told, text)
      return bus.refusedMessages === before
    },
    { deadlineMs: 10_000, what: 'room again' },
  )
})
