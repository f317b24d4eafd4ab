import { expect, test } from 'vitest'

import { hopsOf } from './path-hops.ts'
import type { SidecarView } from './pod-view.ts'

const bus = { connected: true, latencyMs: 0.4 }
const link = view({
  connected: true,
  registered: true,
  beatMs: 2,
  controlPlane: 'https://cp',
  clusterName: 'demo',
})
const proxy = view({
  connections: 1,
  rttMs: 1,
  canaryMs: 3,
  apiServerMs: 4,
  streams: 0,
  requests: 9,
})

function view(facts: SidecarView['facts'], more: Partial<SidecarView> = {}): SidecarView {
  const base = { state: 'ok', reason: '', isLost: false, lastSeen: 'noon', facts }
  return { ...base, ...more } as SidecarView
}

function states(
  seen: { link?: SidecarView; proxy?: SidecarView },
  theBus = bus,
  expects = ['link', 'proxy'],
): string[] {
  const pod = { best: (name: string) => seen[name as 'link'], sidecars: () => [] }
  return hopsOf(pod, theBus, expects).map(({ id, state }) => `${id} ${state}`)
}
const broken = (all: string[]): string[] => all.filter((each) => !each.endsWith(' ok'))

test('where everything works every hop is fine, with a time', () => {
  expect(broken(states({ link, proxy }))).toEqual([])
})

test.each([
  ['link silent', { link: { ...link, isLost: true }, proxy }, ['control-plane warn', 'link down']],
  ['link never heard of', { proxy }, ['control-plane warn', 'link down']],
  [
    'proxy silent',
    { link, proxy: { ...proxy, isLost: true } },
    ['connection down', 'proxy down', 'api-server unknown'],
  ],
  [
    'no stream connection',
    { link, proxy: view({ connections: 0 }, { state: 'degraded', reason: 'no connection' }) },
    ['connection down', 'proxy warn', 'api-server unknown'],
  ],
  [
    'API server away',
    {
      link,
      proxy: view(proxy.facts, {
        state: 'degraded',
        reason: 'it did not answer (hop: api-server)',
      }),
    },
    ['api-server down'],
  ],
  [
    'nothing heard of anybody',
    {},
    ['control-plane down', 'connection down', 'proxy down', 'api-server unknown', 'link down'],
  ],
] as const)('%s: the hops say where', (_what, seen, expected) => {
  expect(broken(states(seen))).toEqual(expected)
})

test('a bus that is away is down', () => {
  expect(broken(states({ link, proxy }, { connected: false, latencyMs: 0 }))).toEqual(['bus down'])
})

test('a sidecar that this installation does without is off, not broken; one that runs all the same is shown', () => {
  const off = ['connection off', 'proxy off', 'api-server off']
  expect(broken(states({ link }, bus, ['link']))).toEqual(off)
  expect(broken(states({ link, proxy }, bus, ['link']))).toEqual([])
})
