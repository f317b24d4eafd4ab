import assert from 'node:assert/strict'

import type { Checks } from './checks.ts'
import { agentPods, names, untilAgentReady, upgradeAgent } from './install.ts'
import type { Tunnel } from './tunnel.ts'
import { until } from './until.ts'
import type { World } from './world.ts'

/** What comes and goes without anybody's doing. */
const fleeting = ['events', 'events.events.k8s.io', 'leases.coordination.k8s.io']

/** The names of all objects there are, of every kind. */
export async function inventory({ kubectl }: World): Promise<Set<string>> {
  const listed = await kubectl(['api-resources', '--verbs=list', '-o', 'name'])
  const kinds = listed.split('\n').filter((kind) => kind !== '' && !fleeting.includes(kind))
  const found = await kubectl([
    ...['get', kinds.join(','), '-A', '--ignore-not-found', '--no-headers'],
    ...['-o', 'custom-columns=:kind,:metadata.namespace,:metadata.name'],
  ])
  return new Set(found.split('\n').map((line) => line.trim().replaceAll(/\s+/g, ' ')))
}

/** Upgrade, rollback and uninstall; `before` is what there was when each was installed. */
export async function checkUninstall(
  { check }: Checks,
  world: World,
  { fetch, kubectl }: Tunnel,
  before: { agent: Set<string>; controlPlane: Set<string> },
): Promise<void> {
  const { release, namespace } = names.agent
  await check(
    'helm rollback brings the values before the upgrade back, and kubectl works',
    async () => {
      await upgradeAgent(world, { console: { enabled: false }, proxy: { replicas: 2 } })
      await untilAgentReady(world)
      await world.helm(['rollback', release, '-n', namespace, '--wait', '--timeout', '120s'])
      const [pod] = await untilAgentReady(world)
      const containers = pod?.spec.containers.map(({ name }) => name).toSorted()
      assert.deepEqual(containers, ['console', 'link', 'proxy'])
      await until('kubectl works', async () => (await fetch('/version')).status === 200)
    },
  )
  await check('helm uninstall of the agent leaves nothing behind', async () => {
    await kubectl(['delete', 'namespace', 'shop', '--wait'])
    await world.helm(['uninstall', release, '-n', namespace, '--wait'])
    await until('its pods are gone', async () => (await agentPods(world)).length === 0)
    await untilSame(world, before.agent)
  })
  await check('helm uninstall of the control plane leaves nothing behind', async () => {
    const { release, namespace } = names.controlPlane
    await world.helm(['uninstall', release, '-n', namespace, '--wait'])
    await world.kubectl(['delete', 'namespace', names.agent.namespace, '--wait'])
    await untilSame(world, before.controlPlane)
  })
}

async function untilSame(world: World, before: Set<string>): Promise<void> {
  await until('nothing is left', async () => {
    const left = [...(await inventory(world)).difference(before)]
    assert.deepEqual(left, [])
    return true
  })
}
