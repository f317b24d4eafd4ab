import assert from 'node:assert/strict'

import { eventually } from '@agent/testing'

import { type Agent, consoleSecret } from './agent.ts'
import type { Checks } from './checks.ts'
import { ctl } from './control-plane.ts'
import { namesOf } from './pods.ts'
import type { Tunnel } from './tunnel.ts'
import type { World } from './world.ts'

const reachMs = 30_000
const whyOff = /turned off in this installation/
const all = ['console', 'link', 'nats', 'proxy']
type Feature = { name: string; enabled: boolean; reason: string }

type Sidecar = { sidecar: string; state: string }

/** Each sidecar turned off and scaled, by `helm upgrade` alone; the console says what is left. */
export async function checkSidecars(
  { check }: Checks,
  world: World,
  agent: Agent,
  { fetch }: Tunnel,
): Promise<void> {
  // The console lets in by a token of its own: with proxy off nobody could ask the cluster about users.
  const console = { existingSecret: consoleSecret.name }
  const off = { enabled: false }

  await check('what cannot work is refused: nats off, link off while proxy is on', async () => {
    await assert.rejects(agent.upgrade({ nats: off }), /nats\.enabled: must be true/)
    await assert.rejects(agent.upgrade({ link: off }), /link\.enabled: must be true/)
  })
  await check('console off: its container and its rights are gone, kubectl goes on', async () => {
    assert.match(await rights(), /tokenreviews/)
    await change({ console: off }, ['link', 'nats', 'proxy'])
    assert.doesNotMatch(await rights(), /tokenreviews/)
    await untilReachable()
  })
  await check('proxy off: the console says so, nobody gets through and is told why', async () => {
    assert.match(await rights(), /impersonate/)
    await change({ console, proxy: off }, ['console', 'link', 'nats'])
    assert.doesNotMatch(await rights(), /impersonate/)
    await eventually(isConnected, {
      deadlineMs: 60_000,
      what: 'the control plane sees the cluster',
    })
    await shows({ 'kubernetes-api': false, heartbeats: true })
    // Not by kubectl, which tries a 503 again ten times.
    const { status, body } = await fetch('proxy/version')
    assert.equal(status, 503)
    const { message } = JSON.parse(body) as { message: string }
    assert.match(message, /\w/)
    return message
  })
  await check('link and proxy off: the console says so, the cluster is gone', async () => {
    await change({ console, link: off, proxy: off }, ['console', 'nats'])
    await shows({ 'kubernetes-api': false, heartbeats: false })
    await eventually(async () => !(await isConnected()), {
      deadlineMs: 60_000,
      what: 'the control plane sees it',
    })
  })
  await check('all on again: the console says so, kubectl works', async () => {
    await change({ console }, all)
    await shows({ 'kubernetes-api': true, heartbeats: true })
    await untilReachable()
  })
  for (const name of ['link', 'proxy', 'console'] as const) {
    await check(
      `two containers of ${name} in the pod: both work, and the console shows them`,
      async () => {
        const changes = { console, [name]: { ...(name === 'console' && console), replicas: 2 } }
        await change(changes, [...all, `${name}-2`].toSorted())
        await eventually(
          async () => {
            const { sidecars } = await ask<{ sidecars: Sidecar[] }>('health/detailed')
            const states = sidecars
              .filter(({ sidecar }) => sidecar === name)
              .map(({ state }) => state)
            assert.deepEqual(states, ['ok', 'ok'])
            return true
          },
          { deadlineMs: 60_000, what: 'the console shows both of them as ok' },
        )
        await untilReachable()
      },
    )
  }

  async function change(changes: object, containers: string[]): Promise<void> {
    await agent.upgrade(changes)
    const [pod] = await agent.untilReady()
    assert.deepEqual(namesOf(pod), containers)
  }

  async function untilReachable(): Promise<void> {
    const isThrough = async () => (await fetch('proxy/version')).status === 200
    await eventually(isThrough, {
      deadlineMs: reachMs,
      what: 'requests are answered through the tunnel',
    })
  }

  /** Every rule that the release made. */
  function rights(): Promise<string> {
    const selector = `app.kubernetes.io/instance=${agent.release}`
    return world.kubectl(['get', 'clusterroles,roles', '-A', '-l', selector, '-o', 'yaml'])
  }

  /** The console's list of features has these on or off; it says why one is off. */
  async function shows(expected: Record<string, boolean>): Promise<void> {
    await eventually(
      async () => {
        const { features } = await ask<{ features: Feature[] }>('status/features')
        for (const [name, isOn] of Object.entries(expected)) {
          const found = features.find((each) => each.name === name)
          assert.equal(found?.enabled, isOn, name)
          assert.match(found.reason, isOn ? /^$/ : whyOff, name)
        }
        return true
      },
      { deadlineMs: 60_000, what: 'the console shows what is on' },
    )
  }

  /** What the console answers in its pod: the way through the tunnel may be what is off. */
  async function ask<T>(path: string): Promise<T> {
    const script = `
      const headers = { authorization: 'Bearer ${consoleSecret.token}' }
      const answer = await fetch('http://127.0.0.1:8080/api/${path}', { headers })
      if (!answer.ok) throw new Error(await answer.text())
      console.log(await answer.text())`
    const exec = ['exec', '-n', agent.namespace, `deployment/${agent.release}`, '-c', 'console']
    const node = ['node', '--input-type=module', '-e', script]
    return JSON.parse(await world.kubectl([...exec, '--', ...node])) as T
  }

  async function isConnected(): Promise<boolean> {
    const { clusters } = await ctl<{ clusters: { name: string; agents: number }[] }>(
      world,
      ...['clusters', 'list'],
    )
    return clusters.some(({ name, agents }) => name === agent.cluster && agents > 0)
  }
}
