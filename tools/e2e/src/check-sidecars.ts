import assert from 'node:assert/strict'

import type { Checks } from './checks.ts'
import { type AgentPod, ctl, names, untilAgentReady, upgradeAgent } from './install.ts'
import type { Tunnel } from './tunnel.ts'
import { until } from './until.ts'
import type { World } from './world.ts'

const version = ['get', '--raw', '/version']

/** Each sidecar turned off and scaled, by `helm upgrade` alone. */
export async function checkSidecars(
  { check }: Checks,
  world: World,
  { kubectl, fetch }: Tunnel,
): Promise<void> {
  await check('console off: its container and its rights are gone, kubectl goes on', async () => {
    await upgradeAgent(world, { console: { enabled: false } })
    assert.deepEqual(containersOf(await untilAgentReady(world)), ['link', 'nats', 'proxy'])
    assert.doesNotMatch(await rights(world), /tokenreviews/)
    await untilReachable()
  })
  await check('proxy off: the cluster is seen, nobody gets through and is told why', async () => {
    await upgradeAgent(world, { proxy: { enabled: false } })
    assert.deepEqual(containersOf(await untilAgentReady(world)), ['console', 'link', 'nats'])
    assert.doesNotMatch(await rights(world), /impersonate/)
    await until('the control plane sees the cluster', async () => isConnected(world))
    // Not by kubectl, which tries a 503 again ten times.
    const { status, body } = await fetch('/version')
    assert.equal(status, 503)
    const { message } = JSON.parse(body) as { message: string }
    assert.match(message, /\w/)
    return message
  })
  await check('link and proxy off: the control plane sees the cluster go', async () => {
    await upgradeAgent(world, { link: { enabled: false }, proxy: { enabled: false } })
    assert.deepEqual(containersOf(await untilAgentReady(world)), ['console', 'nats'])
    await until('the control plane sees it', async () => !(await isConnected(world)))
  })
  await check('all on again: kubectl works', async () => {
    await upgradeAgent(world, {})
    const pods = await untilAgentReady(world)
    assert.deepEqual(containersOf(pods), ['console', 'link', 'nats', 'proxy'])
    await untilReachable()
  })
  for (const name of ['link', 'proxy', 'console'] as const) {
    await check(`two containers of ${name} in the pod`, async () => {
      await upgradeAgent(world, { [name]: { replicas: 2 } })
      const containers = containersOf(await untilAgentReady(world))
      assert.deepEqual(containers, ['console', 'link', 'nats', 'proxy', `${name}-2`].toSorted())
      await untilReachable()
    })
  }
  await check('two pods', async () => {
    await upgradeAgent(world, { podReplicas: 2 })
    assert.equal((await untilAgentReady(world)).length, 2)
    await untilReachable()
  })

  async function untilReachable(): Promise<void> {
    await until('kubectl works through the tunnel', () => kubectl(version), 30_000)
  }
}

function containersOf([pod]: AgentPod[]): string[] {
  const { containers = [], initContainers = [] } = pod?.spec ?? {}
  return [...containers, ...initContainers].map(({ name }) => name).toSorted()
}

/** Every rule that the release made. */
function rights({ kubectl }: World): Promise<string> {
  const selector = `app.kubernetes.io/instance=${names.agent.release}`
  return kubectl(['get', 'clusterroles,roles', '-A', '-l', selector, '-o', 'yaml'])
}

async function isConnected(world: World): Promise<boolean> {
  const { clusters } = await ctl<{ clusters: { name: string; agents: number }[] }>(
    world,
    ...['clusters', 'list'],
  )
  return clusters.some(({ name, agents }) => name === names.cluster && agents > 0)
}
