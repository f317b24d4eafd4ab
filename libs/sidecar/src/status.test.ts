import { createMemoryBus } from '@agent/bus'
import { type StatusReport, statusReported } from '@agent/contracts'
import { eventually } from '@agent/testing'
import { Registry } from 'prom-client'
import { expect, test } from 'vitest'

import { createHealthApp } from './health.ts'
import { createStatus } from './status.ts'

test('a sidecar that stops stays not ready, whatever is still reported', async () => {
  await using bus = createMemoryBus()
  const heard: StatusReport[] = []
  await using _listening = bus.subscribe(statusReported, (report) => void heard.push(report))
  const status = createStatus({ name: 'proxy', instance: 'i', version: 'v' }, () => {})
  using _attached = status.attach(bus)
  const app = createHealthApp(status, new Registry())
  status.report('ok')
  expect((await app.request('/readyz')).status).toBe(200)
  status.report('stopping', 'stopping')
  status.report('ok')
  status.report('degraded', 'late')
  const answer = await app.request('/readyz')
  expect(answer.status).toBe(503)
  expect(await answer.json()).toMatchObject({ state: 'stopping', reason: 'stopping' })
  await eventually(() => heard.length >= 3, { deadlineMs: 1_000, what: 'the reports' })
  expect(heard.map(({ state }) => state)).toEqual(['starting', 'ok', 'stopping'])
})
