import assert from 'node:assert/strict'
import { join } from 'node:path'

import type { Checks } from './checks.ts'
import { mustExecute } from './command.ts'
import { type AgentPod, agentPods, names, untilAgentReady } from './install.ts'
import type { Tunnel } from './tunnel.ts'
import { until } from './until.ts'
import type { World } from './world.ts'

/** Within which requests are answered again, as docs/architecture.md writes; kubelet's own time comes on top. */
const written = { agent: 15, controlPlane: 30 }
const kubeletSeconds = 10

/** kill -9 of each container in turn: kubelet starts it again, and everything goes on. */
export async function checkRecovery(
  { check }: Checks,
  world: World,
  { fetch }: Tunnel,
): Promise<void> {
  for (const name of ['nats', 'link', 'proxy', 'console']) {
    await check(`kill -9 of ${name}: started again, kubectl works, all ready`, async () => {
      const [pod] = await untilAgentReady(world)
      const before = statusOf(pod, name)
      const after = await kill(before.containerID)
      const seconds = await after(written.agent, async () => {
        const [pod] = await agentPods(world)
        return statusOf(pod, name).restartCount > before.restartCount
      })
      return seconds
    })
  }
  await check('kill -9 of the control plane: the same', async () => {
    const { release, namespace } = names.controlPlane
    const read = async () => {
      const pod = await world.get<AgentPod>('pod', `${release}-0`, '-n', namespace)
      return statusOf(pod, 'control-plane')
    }
    const before = await read()
    const after = await kill(before.containerID)
    return after(written.controlPlane, async () => {
      const { restartCount, ready } = await read()
      return ready && restartCount > before.restartCount
    })
  })

  /** Kills a container's process; returns what waits for everything to be well again. */
  async function kill(containerId = '') {
    const id = containerId.replace('containerd://', '')
    const socket = join(world.dir, 'containerd', 'containerd.sock')
    const ctr = ['--address', socket, '-n', 'k8s.io', 'tasks', 'kill', '-s', 'SIGKILL', id]
    await mustExecute('ctr', ctr)
    const startedAt = performance.now()
    const seconds = (): number => (performance.now() - startedAt) / 1_000
    return async (limitSeconds: number, isBack: () => Promise<boolean>): Promise<string> => {
      await until('kubelet has started it again', isBack, (limitSeconds + kubeletSeconds) * 1_000)
      const restarted = seconds()
      await until(
        'requests are answered through the tunnel',
        async () => (await fetch('/version')).status === 200,
        (limitSeconds + kubeletSeconds - restarted) * 1_000,
      )
      const answered = seconds()
      await untilAgentReady(world)
      const parts = { restarted, answered, 'all ready': seconds() }
      return Object.entries(parts)
        .map(([what, after]) => `${what} after ${after.toFixed(1)} s`)
        .join(', ')
    }
  }
}

function statusOf(pod: AgentPod | undefined, name: string) {
  const { containerStatuses = [], initContainerStatuses = [] } = pod?.status ?? {}
  const found = [...containerStatuses, ...initContainerStatuses].find((each) => each.name === name)
  assert.ok(found, `a container called ${name}`)
  return found
}
