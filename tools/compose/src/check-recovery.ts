import assert from 'node:assert/strict'

import { type Checks, type Door, openDoorOf } from '@agent/e2e'
import { eventually } from '@agent/testing'

import { type Container, serviceOf } from './project.ts'
import type { Up } from './up.ts'

/** Within which requests are answered again, as docs/architecture.md writes; the demo's cluster starts anew. */
const seconds = {
  nats: 15,
  link: 15,
  proxy: 15,
  console: 15,
  secrets: 15,
  'control-plane': 30,
  kubernetes: 30,
}
const readySeconds = 60

type Clusters = { id: string; agentId?: string }

/** Whatever dies comes back, and a stop keeps what was known. */
export async function checkRecovery(
  { check }: Checks,
  { project, cluster, kubeconfig }: Up,
): Promise<void> {
  using door = await openDoorOf(kubeconfig)
  for (const [service, limitSeconds] of Object.entries(seconds)) {
    await check(
      `kill -9 of ${service}: it is started again, and requests are answered`,
      async () => {
        const before = await project.container(service)
        const since = startTimer()
        process.kill(before.State.Pid, 'SIGKILL')
        await eventually(() => isAnother(before), {
          deadlineMs: limitSeconds * 1_000,
          what: 'it runs again',
        })
        const restarted = since()
        await untilAnswered(door, limitSeconds * 1_000)
        return `restarted after ${restarted}, answered after ${since()}`
      },
    )
  }
  await check('after all these, every container is ready again', () =>
    project.untilReady({ timeoutMs: readySeconds * 1_000 }),
  )
  await check(
    'a sidecar whose network is gone is ended by its health check, and finds the new one',
    async () => {
      const nats = await project.container('nats')
      await project.run(['restart', nats.Id])
      // podman without systemd checks nothing by itself: asking does.
      await project.untilReady({ timeoutMs: readySeconds * 1_000 })
      await untilAnswered(door, 30_000)
    },
  )
  await check(
    'stop, then up: the same cluster and agent, and what was applied is there',
    async () => {
      const before = await identity()
      await project.compose(['stop'])
      const running = (await project.containers()).filter(({ State }) => State.Running)
      assert.deepEqual(running.map(serviceOf), [])
      const since = startTimer()
      await project.up()
      await untilAnswered(door, 60_000)
      const answered = since()
      assert.deepEqual(await identity(), before)
      const kept = await door.fetch('proxy/api/v1/namespaces/default/configmaps/seen')
      assert.equal(kept.status, 200)
      return `answered after ${answered}`
    },
  )

  async function isAnother(before: Container): Promise<boolean> {
    const { State } = await project.container(serviceOf(before))
    return State.Running && State.Pid !== before.State.Pid
  }
  async function identity(): Promise<Clusters> {
    const text = await project.ctl('--output', 'json', 'clusters', 'show', cluster)
    const { id, agentId } = JSON.parse(text) as Clusters
    assert.ok(id)
    return { id, ...(agentId === undefined ? {} : { agentId }) }
  }
}

function startTimer(): () => string {
  const startedAt = performance.now()
  return () => `${((performance.now() - startedAt) / 1_000).toFixed(1)} s`
}

async function untilAnswered(door: Door, limitMs: number): Promise<void> {
  await eventually(
    async () => (await door.fetch('proxy/api/v1/namespaces', 5_000)).status === 200,
    { deadlineMs: limitMs, what: 'requests are answered' },
  )
}
