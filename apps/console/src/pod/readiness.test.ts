import { expect, test } from 'vitest'

import type { SidecarView } from './pod-view.ts'
import { createReadiness } from './readiness.ts'

const ok = { state: 'ok', reason: '', isLost: false, lastSeen: '2026-01-01T00:00:00.000Z' }

function start(expects = ['link', 'proxy']) {
  const views: Record<string, Partial<SidecarView> | undefined> = { link: ok, proxy: ok } as never
  const bus = { connected: true }
  let nowMs = 0
  const readiness = createReadiness(
    { best: (name) => views[name] as SidecarView | undefined },
    bus,
    expects,
    () => nowMs,
  )
  return { views, bus, at: (ms: number) => ((nowMs = ms), readiness()) }
}

test.each([
  ['link', undefined, /nothing was heard of the link/],
  ['proxy', undefined, /nothing was heard of the proxy/],
  ['link', { isLost: true }, /link sidecar is silent since 2026/],
  ['proxy', { isLost: true }, /proxy sidecar is silent since 2026/],
  ['link', { state: 'degraded', reason: 'no heartbeat' }, /link is degraded: no heartbeat/],
  ['proxy', { state: 'starting' }, /^proxy is starting$/],
  ['proxy', { state: 'stopping' }, /^proxy is stopping$/],
] as const)('not ready while %s is %o', (name, change, reason) => {
  const { views, at } = start()
  views[name] = change === undefined ? undefined : ({ ...ok, ...change } as SidecarView)
  expect(at(0)).toMatchObject({ ready: false, reason: expect.stringMatching(reason) })
})

test('what this installation does not run is no trouble, and what it runs beyond the usual is', () => {
  const { views, at } = start(['link', 'tunnel'])
  views['proxy'] = undefined
  expect(at(0)).toMatchObject({ ready: false, reason: expect.stringContaining('tunnel') })
  views['tunnel'] = ok as SidecarView
  expect(at(0)).toMatchObject({ ready: true })
})

test('what was heard before the bus went away proves nothing', () => {
  const { bus, at } = start()
  expect(at(0)).toMatchObject({ ready: true, reason: '' })
  bus.connected = false
  expect(at(0)).toMatchObject({ ready: false, reason: expect.stringContaining('bus') })
})

test('since is when readiness changed, not when its reason did', () => {
  const { views, at } = start()
  at(1_000)
  expect(at(2_000).since).toBe('1970-01-01T00:00:01.000Z')
  views['link'] = undefined
  at(3_000)
  views['proxy'] = undefined
  expect(at(4_000).since).toBe('1970-01-01T00:00:03.000Z')
})
