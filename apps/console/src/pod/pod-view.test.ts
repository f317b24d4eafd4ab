import { createMemoryBus } from '@agent/bus'
import { heartbeatDone, statusReported } from '@agent/contracts'
import { eventually } from '@agent/testing'
import { expect, test } from 'vitest'

import { watchPod } from './pod-view.ts'

const cluster = {
  kubernetesVersion: null,
  nodes: null,
  pods: null,
  cpuUsage: null,
  memoryUsage: null,
}

async function start() {
  const scope = new AsyncDisposableStack()
  const bus = scope.use(createMemoryBus())
  let nowMs = Date.parse('2026-01-01T00:00:00Z')
  const pod = scope.use(watchPod(bus, () => nowMs))
  const time = (): string => new Date(nowMs).toISOString()
  return {
    pod,
    pass: (ms: number) => (nowMs += ms),
    async report(instance: string, state: 'ok' | 'degraded' | 'stopping') {
      const report = { sidecar: 'link', instance, version: '0', state, reason: '', facts: {} }
      bus.publish(statusReported, { ...report, since: time() })
      await Promise.resolve()
    },
    async beat(ok: boolean) {
      bus.publish(heartbeatDone, { time: time(), ok, durationMs: 1, reason: '', cluster })
      await Promise.resolve()
    },
    texts: () => pod.events.after(0).entries.map(({ value }) => value.text),
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  }
}

test('a sidecar that is silent for more than twelve seconds is lost, said once, and welcome back', async () => {
  await using seen = await start()
  await seen.report('a', 'ok')
  seen.pass(12_000)
  expect(seen.pod.best('link')).toMatchObject({ isLost: false })
  seen.pass(1)
  expect(seen.pod.best('link')).toMatchObject({ isLost: true })
  await eventually(() => seen.texts().length === 2, { deadlineMs: 3_000, what: 'an event' })
  await seen.report('a', 'ok')
  expect(seen.texts()).toEqual(['link is ok', 'link has said nothing for 12 s', 'link is ok'])
})

test('of scaled sidecars the one that works speaks for all', async () => {
  await using seen = await start()
  await seen.report('a', 'degraded')
  await seen.report('b', 'ok')
  expect(seen.pod.best('link')).toMatchObject({ instance: 'b' })
  seen.pass(12_001)
  await seen.report('a', 'degraded')
  expect(seen.pod.best('link')).toMatchObject({ instance: 'a', state: 'degraded' })
})

test('heartbeats are those of the last hour', async () => {
  await using seen = await start()
  await seen.beat(false)
  seen.pass(1_800_000)
  await seen.beat(true)
  expect(seen.pod.beats).toHaveLength(2)
  seen.pass(1_800_001)
  await eventually(() => seen.pod.beats.length === 1, { deadlineMs: 3_000, what: 'one beat' })
  expect(seen.pod.beats[0]?.ok).toBe(true)
})
