import { createMemoryBus } from '@agent/bus'
import { type LogLines, logsWanted, logWritten } from '@agent/contracts'
import { eventually } from '@agent/testing'
import { expect, test } from 'vitest'

import { createLogTap } from './log-tap.ts'

function start() {
  const scope = new AsyncDisposableStack()
  const bus = scope.use(createMemoryBus())
  let nowMs = 0
  const tap = createLogTap(() => nowMs)
  scope.use(tap.attach(bus, { sidecar: 'link', instance: 'a' }))
  const got: LogLines[] = []
  bus.subscribe(logWritten, (lines) => void got.push(lines))
  return {
    bus,
    tap,
    got,
    lines: () => got.flatMap(({ lines }) => lines),
    pass: (ms: number) => (nowMs += ms),
    async want(leaseSeconds = 10) {
      bus.publish(logsWanted, { leaseSeconds })
      await Promise.resolve()
    },
    until: (count: number) =>
      eventually(() => got.flatMap(({ lines }) => lines).length >= count, {
        deadlineMs: 3_000,
        what: `${count} lines`,
      }),
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  }
}

test('nothing is sent until somebody reads, who then sees what led up to now, once', async () => {
  await using log = start()
  log.tap.write('before\n')
  await log.want()
  log.tap.write('after\n')
  await log.want()
  await log.until(2)
  expect(log.lines()).toEqual(['before', 'after'])
  log.pass(10_000)
  log.tap.write('nobody reads\n')
  await log.want()
  await log.until(5)
  expect(log.lines().slice(2)).toEqual(['before', 'after', 'nobody reads'])
})

test('of too much the latest is sent, with the count of what is missing before it', async () => {
  await using log = start()
  await log.want()
  for (let index = 0; index < 300; index++) log.tap.write(`line ${index}\n`)
  await log.until(256)
  expect(log.got[0]).toMatchObject({ dropped: 44 })
  expect(log.lines().at(-1)).toBe('line 299')
})

test.each(['"', '漢', '\u0001'])('a flood of %j still fits the bus', async (text) => {
  await using log = start()
  await log.want()
  for (let index = 0; index < 100; index++) log.tap.write(text.repeat(8_192))
  await log.until(1)
  expect(log.bus.refusedMessages).toBe(0)
  expect(log.lines().length + (log.got[0]?.dropped ?? 0)).toBe(100)
})
