import { expect, test } from 'vitest'

import { Config } from '../config.ts'
import { featuresOf } from './features.ts'
import type { SidecarView } from './pod-view.ts'

const live = { state: 'ok', reason: '', isLost: false, lastSeen: '2026-01-01T00:00:00.000Z' }
const link = { ...live, facts: { registered: true, streamsVersion: 2 } }
const proxy = { ...live, facts: { connections: 1 } }

function features(views: Record<string, object>, settings: Record<string, string> = {}) {
  const pod = { best: (name: string) => views[name] as SidecarView | undefined }
  return Object.fromEntries(
    featuresOf(pod, Config.parse(settings)).map(({ name, enabled, negotiated, reason }) => [
      name,
      [enabled, negotiated, reason],
    ]),
  )
}

test('what this installation does without is off, and what it should have is missed', () => {
  const all = features({ link }, { CONSOLE_EXPECTS: 'link, tunnel' })
  expect(all['kubernetes-api']).toEqual([false, true, 'turned off in this installation'])
  expect(all['route-sync']).toEqual([false, null, 'turned off in this installation'])
  expect(all['tunnel-forwards']).toEqual([
    false,
    null,
    'nothing was heard of the tunnel sidecar yet',
  ])
  expect(features({ link }, { CONSOLE_EXPECTS: 'console' })['heartbeats']).toEqual([true, null, ''])
})

test('agreed is what the control plane answered at registration, whatever is connected', () => {
  const streams = (facts: object, more: object = { proxy }): unknown =>
    features({ link: { ...live, facts }, ...more })['streams-v2']
  expect(streams(link.facts)).toEqual([true, true, ''])
  expect(streams(link.facts, {})).toEqual([
    true,
    true,
    'nothing was heard of the proxy sidecar yet',
  ])
  expect(streams({ registered: true, streamsVersion: null })).toEqual([
    true,
    false,
    'the control plane does not speak this version',
  ])
  expect(streams({ registered: false, streamsVersion: null })).toEqual([
    true,
    null,
    'the agent is not registered',
  ])
})

test('a sidecar that nobody knows cannot be expected', () => {
  expect(Config.safeParse({ CONSOLE_EXPECTS: 'link,porxy' }).success).toBe(false)
})
