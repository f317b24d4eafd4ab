import assert from 'node:assert/strict'
import { join } from 'node:path'

import { readContainerUsage } from '@agent/cluster'
import { eventually } from '@agent/testing'

import type { Agent } from './agent.ts'
import type { Checks } from './checks.ts'
import { execute, mustExecute } from './command.ts'
import { controlPlanePod } from './control-plane.ts'
import { containerId, isReady, namesOf, pathOf, type Pod, statusOf } from './pods.ts'
import type { Tunnel } from './tunnel.ts'
import type { World } from './world.ts'

/** Within which requests are answered and all is ready again, as docs/architecture.md writes. */
const written = { agent: 15, controlPlane: 30 }
/** On top of it: until kubelet has seen the end, started the container and asked its probes. */
const kubeletSeconds = 10
/** Takes memory until there is none. */
const takeAll = 'const taken = []; for (;;) taken.push(Buffer.alloc(2 ** 22, 1))'

/** kill -9 of each container of the agent in turn: kubelet starts it again, and everything goes on. */
export async function checkRecovery(
  { check }: Checks,
  world: World,
  agent: Agent,
  { fetch }: Tunnel,
): Promise<void> {
  const pod = async (): Promise<Pod> => (await agent.untilReady())[0] as Pod
  for (const name of ['nats', 'link', 'proxy', 'console']) {
    await check(`kill -9 of ${name}: started again, requests answered, all ready`, async () => {
      const { metadata } = await pod()
      const read = () => world.read<Pod>(pathOf(agent.namespace, metadata.name))
      return killAndWait(world, { name, read, all: agent.pods }, written.agent, fetch)
    })
  }
  await check('the memory limit is in force: who takes more in a container is killed', async () => {
    const victim = await pod()
    const { restartCount, ...before } = statusOf(victim, 'console')
    const id = containerId(before)
    const { name } = victim.metadata
    assert.equal((await readContainerUsage(id)).oomKills, 0)
    const where = ['-n', agent.namespace, name, '-c', 'console', '--', 'node', '-e', takeAll]
    const { code } = await execute(world.programs.kubectl, [
      ...['--kubeconfig', world.adminKubeconfig, 'exec', ...where],
    ])
    assert.notEqual(code, 0)
    await eventually(
      async () => {
        // Where the kernel ends the whole container, kubelet starts it again (cgroup v2).
        const now = statusOf(await world.read<Pod>(pathOf(agent.namespace, name)), 'console')
        return now.restartCount > restartCount || (await readContainerUsage(id)).oomKills > 0
      },
      { deadlineMs: kubeletSeconds * 1_000, what: 'somebody was killed for their memory' },
    )
    await agent.untilReady()
  })
}

/** The profile `edge`: kubectl, kill -9, and the way to a process for each and back. */
export async function checkEdge(
  { check }: Checks,
  world: World,
  edge: Agent,
  { fetch }: Tunnel,
): Promise<void> {
  const containers = async (): Promise<string[]> => {
    const [pod] = await edge.untilReady()
    assert.equal((await fetch('proxy/version')).status, 200)
    return namesOf(pod)
  }
  await check('profile edge: kill -9 of the one process', async () => {
    const [{ metadata }] = (await edge.untilReady()) as [Pod]
    const read = () => world.read<Pod>(pathOf(edge.namespace, metadata.name))
    return killAndWait(world, { name: 'edge', read, all: edge.pods }, written.agent, fetch)
  })
  await check(
    'profile edge: to a container for each sidecar by upgrade, and back by rollback',
    async () => {
      await edge.upgrade({ profile: 'sidecars' })
      assert.deepEqual(await containers(), ['console', 'link', 'nats', 'proxy'])
      await edge.rollback()
      assert.deepEqual(await containers(), ['edge'])
    },
  )
}

/** kill -9 of the control plane. */
export async function checkControlPlaneRecovery(
  { check }: Checks,
  world: World,
  agent: Agent,
  { fetch }: Tunnel,
): Promise<void> {
  await check('kill -9 of the control plane: the same', async () => {
    const read = () => controlPlanePod(world)
    const all = async () => [await read(), ...(await agent.pods())]
    const victim = { name: 'control-plane', read, all }
    return killAndWait(world, victim, written.controlPlane, fetch)
  })
}

/** A container, its pod, and the pods that must be ready afterwards. */
type Victim = { name: string; read: () => Promise<Pod>; all: () => Promise<Pod[]> }

/** Kills a container's process and waits, within its time, for everything to be well again; says when it was. */
async function killAndWait(
  world: World,
  { name, read, all }: Victim,
  limitSeconds: number,
  fetch: Tunnel['fetch'],
): Promise<string> {
  const before = statusOf(await read(), name)
  const socket = join(world.dir, 'containerd', 'containerd.sock')
  const ctr = [
    '--address',
    socket,
    '-n',
    'k8s.io',
    'tasks',
    'kill',
    '-s',
    'SIGKILL',
    containerId(before),
  ]
  await mustExecute('ctr', ctr)
  const startedAt = performance.now()
  const seconds = (): number => (performance.now() - startedAt) / 1_000
  const leftMs = (): number => (limitSeconds + kubeletSeconds - seconds()) * 1_000
  const parts: string[] = []
  const reach = async (what: string, isThere: () => Promise<boolean>): Promise<void> => {
    await eventually(isThere, { deadlineMs: leftMs(), what })
    parts.push(`${what} after ${seconds().toFixed(1)} s`)
  }
  await reach('started again', async () => {
    return statusOf(await read(), name).restartCount > before.restartCount
  })
  await reach('answered', async () => (await fetch('proxy/version', 5_000)).status === 200)
  await reach('all ready', async () => (await all()).every(isReady))
  return parts.join(', ')
}
