import assert from 'node:assert/strict'

import { eventually } from '@agent/testing'

import type { Agent } from './agent.ts'
import type { Checks } from './checks.ts'
import { agentNames, names } from './names.ts'
import { namesOf } from './pods.ts'
import type { Tunnel } from './tunnel.ts'
import type { World, WorldNode } from './world.ts'

/** What comes and goes without anybody's doing. */
const fleeting = ['events', 'events.events.k8s.io', 'leases.coordination.k8s.io']

/** What the controller manager puts into each namespace, a moment after it was made. */
const everywhere = /^(ConfigMap \S+ kube-root-ca\.crt|ServiceAccount \S+ default)$/

/** The names of all objects there are, of every kind. */
export async function inventory({ kubectl }: WorldNode): Promise<Set<string>> {
  const listed = await kubectl(['api-resources', '--verbs=list', '-o', 'name'])
  const kinds = listed.split('\n').filter((kind) => kind !== '' && !fleeting.includes(kind))
  const found = await kubectl([
    ...['get', kinds.join(','), '-A', '--ignore-not-found', '--no-headers'],
    ...['-o', 'custom-columns=:kind,:metadata.namespace,:metadata.name'],
  ])
  const lines = found.split('\n').map((line) => line.trim().replaceAll(/\s+/g, ' '))
  return new Set(lines.filter((line) => !everywhere.test(line)))
}

/** A rollback after an upgrade. */
export async function checkRollback(
  { check }: Checks,
  agent: Agent,
  { fetch }: Tunnel,
): Promise<void> {
  const containers = async (): Promise<string[]> => namesOf((await agent.untilReady())[0])
  await check('helm rollback: the values before the upgrade are back, kubectl works', async () => {
    const before = await containers()
    assert.ok(before.includes('console'))
    await agent.upgrade({ console: { enabled: false }, proxy: { replicas: 2 } })
    assert.deepEqual(await containers(), ['link', 'nats', 'proxy', 'proxy-2'])
    await agent.rollback()
    assert.deepEqual(await containers(), before)
    await eventually(async () => (await fetch('proxy/version')).status === 200, {
      deadlineMs: 60_000,
      what: 'kubectl works',
    })
  })
}

/** Uninstalls an agent that has `state.keep`. */
export async function checkKeptState(
  { check }: Checks,
  world: World,
  { release, namespace, uninstall }: Agent,
): Promise<void> {
  await check('helm uninstall with state.keep: only the state stays, as it was', async () => {
    const kept = { configmap: `${release}-state`, secret: `${release}-secrets` }
    const readIds = async (): Promise<unknown> => {
      const path = `/api/v1/namespaces/${namespace}/configmaps/${kept.configmap}`
      return (await world.read<{ data: object }>(path)).data
    }
    const ids = await readIds()
    assert.ok(ids)
    await uninstall()
    await eventually(
      async () => {
        const left = [...(await inventory(world))].filter((line) => line.includes(release))
        assert.deepEqual(left.toSorted(), [
          `ConfigMap ${namespace} ${kept.configmap}`,
          `Secret ${namespace} ${kept.secret}`,
        ])
        return true
      },
      { deadlineMs: 60_000, what: 'of what bears its name, only the state is left' },
    )
    assert.deepEqual(await readIds(), ids)
    const names = [`configmap/${kept.configmap}`, `secret/${kept.secret}`]
    await world.kubectl(['delete', '-n', namespace, ...names])
  })
}

/** Uninstalls the last agents and the control plane; `before` is what there was when each was installed. */
export async function checkUninstall(
  { check }: Checks,
  world: World,
  agents: Agent[],
  before: { agents: Set<string>; controlPlane: Set<string> },
): Promise<void> {
  await check('helm uninstall of the last agents: none of them left anything behind', async () => {
    await Promise.all([
      world.kubectl(['wait', '--for=delete', `namespace/${names.shop}`, '--timeout=60s']),
      ...agents.map((agent) => agent.uninstall()),
    ])
    // The control plane goes on: its release has a history.
    const itsOwn = ` ${names.controlPlane.namespace} `
    await untilSame(world, before.agents, (line) => !line.includes(itsOwn))
  })
  await check('helm uninstall of the control plane leaves nothing behind', async () => {
    const { release, namespace } = names.controlPlane
    const namespaces = Object.values(agentNames).map((each) => each.namespace)
    await Promise.all([
      world.helm(['uninstall', release, '-n', namespace, '--wait']),
      world.kubectl(['delete', 'namespace', ...namespaces, '--wait']),
    ])
    await untilSame(world, before.controlPlane)
  })
}

async function untilSame(
  world: World,
  before: Set<string>,
  counts: (line: string) => boolean = () => true,
): Promise<void> {
  await eventually(
    async () => {
      const left = [...(await inventory(world)).difference(before)].filter(counts)
      assert.deepEqual(left, [])
      return true
    },
    { deadlineMs: 60_000, what: 'nothing is left' },
  )
}
