import { createMemoryBus } from '@agent/bus'
import { AgentError, type StatusReport, statusReported } from '@agent/contracts'
import { eventually } from '@agent/testing'
import { Counter, Gauge } from 'prom-client'
import { expect, test } from 'vitest'
import * as z from 'zod'

import { CommonConfig } from './config.ts'
import { createSidecar } from './create-sidecar.ts'
import type { Sidecar, SidecarOptions } from './sidecar.ts'

function sidecar(name: string, start: SidecarOptions['start'], config = z.object({})) {
  return { name, config, defaultHealthPort: 0, start }
}

async function startHost(others: SidecarOptions[], environment: Record<string, string> = {}) {
  const scope = new AsyncDisposableStack()
  const bus = scope.use(createMemoryBus())
  const stopping = new AbortController()
  const lines: string[] = []
  const fatal: Error[] = []
  const reports: StatusReport[] = []
  scope.use(bus.subscribe(statusReported, (report) => void reports.push(report)))
  const host = createSidecar(
    sidecar('edge', ({ host }) => host(others)),
    CommonConfig.parse({}),
    {
      instance: 'pod-1',
      environment,
      output: { write: (line) => void lines.push(line), close: async () => {} },
      signal: stopping.signal,
      onFatal: (error) => void fatal.push(error),
    },
  )
  await host.start(bus, scope)
  return {
    host,
    lines,
    fatal,
    reports,
    stop: () => stopping.abort(),
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  }
}

test('a host is as well as the worst of those it hosts, and says which one that is', async () => {
  const parts = new Map<string, Sidecar<unknown>>()
  const keep = (name: string) => sidecar(name, (part) => void parts.set(name, part))
  await using run = await startHost([keep('link'), keep('proxy')])
  const now = (): unknown => [run.host.status.current.state, run.host.status.current.reason]

  parts.get('link')!.status.report('ok')
  expect(now()).toEqual(['starting', 'proxy: starting'])
  parts.get('proxy')!.status.report('degraded', 'no canary')
  expect(now()).toEqual(['degraded', 'proxy: no canary'])
  parts.get('proxy')!.status.report('ok')
  expect(now()).toEqual(['ok', ''])
  run.stop()
  parts.get('proxy')!.status.report('ok')
  expect(now()).toEqual(['stopping', 'stopping'])
  await eventually(
    () => run.reports.some(({ sidecar, state }) => sidecar === 'link' && state === 'stopping'),
    {
      deadlineMs: 1_000,
      what: 'the report of the one that stops',
    },
  )
})

test('each of those in a process has its own log and metrics; one page shows all, told apart', async () => {
  const counting = (name: string, value: number) =>
    sidecar(name, ({ log, metrics }) => {
      new Counter({ name: 'calls_total', help: 'Calls.', registers: [metrics] }).inc(value)
      log.info('here')
    })
  await using run = await startHost([counting('link', 1), counting('proxy', 2)])
  new Gauge({ name: 'own', help: 'Own.', registers: [run.host.metrics] }).set(3)
  const page = await run.host.page.metrics()
  expect(page).toContain('calls_total{sidecar="link"} 1\ncalls_total{sidecar="proxy"} 2\n')
  expect(page).toContain('own{sidecar="edge"} 3\n')
  expect(run.lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { sidecar: 'link', instance: 'pod-1', msg: 'here' },
    { sidecar: 'proxy', instance: 'pod-1', msg: 'here' },
  ])
})

test('the problems of all settings are told at once, and nothing is started', async () => {
  let started = 0
  const needing = (setting: string) =>
    sidecar(setting.toLowerCase(), () => void started++, z.object({ [setting]: z.string() }))
  await expect(startHost([needing('ONE'), needing('TWO')])).rejects.toMatchObject({
    code: 'config-invalid',
    message: 'invalid configuration:\n  ONE: is required\n  TWO: is required',
  })
  expect(started).toBe(0)
})

test('one that still waits keeps no other from starting; they end from the last to the first', async () => {
  const ended: string[] = []
  const waits = Promise.withResolvers<void>()
  const started = Promise.withResolvers<void>()
  const ends = (name: string, start: () => Promise<void> | void) =>
    sidecar(name, ({ scope }) => {
      scope.defer(() => void ended.push(name))
      return start()
    })
  const starting = startHost([ends('link', () => waits.promise), ends('proxy', started.resolve)])
  await started.promise
  waits.resolve()
  const run = await starting
  await run[Symbol.asyncDispose]()
  expect(ended).toEqual(['proxy', 'link'])
})

test('what ends one of them is told to the process; what keeps one from starting ends the start', async () => {
  const refused = new AgentError('credentials-refused', 'no')
  await using run = await startHost([sidecar('link', ({ status }) => status.fatal(refused))])
  expect(run.fatal).toEqual([refused])
  const failing = sidecar('console', () => Promise.reject(refused))
  await expect(startHost([sidecar('link', () => {}), failing])).rejects.toBe(refused)
})
