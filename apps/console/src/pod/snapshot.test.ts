import type { Heartbeat, StatusReport } from '@agent/contracts'
import { expect, test } from 'vitest'

import type { SidecarView } from './pod-view.ts'
import { takeSnapshot } from './snapshot.ts'

const time = '2026-01-01T00:00:00.000Z'
const cluster = {
  kubernetesVersion: 'v1.35.0',
  nodes: 3,
  pods: 9,
  cpuUsage: '12.5%',
  memoryUsage: null,
}

/** What is shown where link said this, and these heartbeats were heard. */
function shown(facts: StatusReport['facts'] | undefined, beats: Heartbeat[] = []) {
  const link = facts === undefined ? undefined : ({ facts, isLost: false } as SidecarView)
  return takeSnapshot(
    { best: () => link, sidecars: () => [], beats },
    { readiness: { ready: true, reason: '', since: time }, hops: [], version: '0' },
  )
}

test('a console that has heard no heartbeat knows cluster and last beat from link’s report', () => {
  const now = shown({ ...cluster, beatAt: time, beatOk: true, beatMs: 1.5 })
  expect(now.cluster).toEqual(cluster)
  expect(now.heartbeat).toMatchObject({ last: time, ok: true, durationMs: 1.5, lastHour: 0 })
})

test('what was heard stays while a new link has nothing to report, and nothing heard is nothing', () => {
  const beat = { time, ok: false, durationMs: 9, reason: 'timeout', cluster }
  const now = shown({}, [beat])
  expect(now.cluster).toEqual(cluster)
  expect(now.heartbeat).toMatchObject({ last: time, ok: false, durationMs: 9, missedLastHour: 1 })
  for (const facts of [undefined, {}]) {
    expect(shown(facts)).toMatchObject({ cluster: null, heartbeat: { last: null, ok: null } })
  }
})
