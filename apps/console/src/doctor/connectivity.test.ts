import { createMemoryBus } from '@agent/bus'
import { checkControlPlane } from '@agent/contracts'
import { expect, test } from 'vitest'

import { createConnectivityTest } from './connectivity.ts'

const fine = { name: 'tcp', hop: 'connection', verdict: 'ok', durationMs: 1, text: '', advice: '' }

test('a sidecar that does not answer is the broken hop, unless this installation does without it', async () => {
  await using bus = createMemoryBus()
  bus.serve(checkControlPlane, async () => ({ steps: [fine as never] }))
  const result = (expects: string[]) => createConnectivityTest(bus, expects)()
  expect(await result(['link', 'proxy'])).toMatchObject({ verdict: 'fail', brokenHop: 'proxy' })
  const without = await result(['link'])
  expect(without).toMatchObject({ verdict: 'ok', brokenHop: null, advice: '' })
  expect(without.steps.map(({ name, verdict }) => [name, verdict])).toEqual([
    ['tcp', 'ok'],
    ['proxy sidecar', 'skip'],
  ])
})
