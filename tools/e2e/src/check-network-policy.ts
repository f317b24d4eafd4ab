import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'

import { enforcePolicies, space } from '@agent/cluster'
import { eventually } from '@agent/testing'

import type { Agent } from './agent.ts'
import type { Checks } from './checks.ts'
import { controlPlanePod, publicUrl, upgradeControlPlane } from './control-plane.ts'
import { names } from './names.ts'
import type { Tunnel } from './tunnel.ts'
import { lookout } from './workload.ts'
import type { World } from './world.ts'

const neighbour = 'neighbour'
const dialMs = 3_000
const settleMs = 10_000
const stranger = 'stranger'
/** What the chart lets in: console, link and proxy. */
const healthPorts = [8_080, 8_081, 8_082]
/** What a policy's refusal looks like to who connects; a port that nobody listens on would be ECONNREFUSED. */
const refused = 'EHOSTUNREACH'

/** The chart's NetworkPolicy where it is enforced: what is documented goes on, anything else is refused. */
export async function checkNetworkPolicy(
  { check }: Checks,
  world: World,
  agent: Agent,
  { fetch }: Tunnel,
): Promise<void> {
  const { namespace } = agent
  await using _enforcement = await enforcePolicies(world.cluster)
  // Elsewhere a control plane is outside of the cluster; what it would be asked at stands in for it.
  const port = Number(new URL(publicUrl(world)).port)
  await using outside = await listen(port)
  await using other = await listen(port + 1)
  const api = new URL(world.cluster.url)
  const controlPlane = (await controlPlanePod(world)).status.podIP as string
  const documented: Record<string, Target> = {
    'API server, by its Service’s name': ['kubernetes.default.svc.cluster.local', 443],
    'API server': [api.hostname, Number(api.port)],
    'control plane in this cluster': [world.nodeAddress, port],
    'control plane outside': [space.hostAddress, outside.port],
  }
  const others: Record<string, Target> = {
    'another port there': [space.hostAddress, other.port],
    'kubelet, beside the API server': [world.nodeAddress, 10_250],
    'another port of the control plane’s pod': [controlPlane, 8_083],
    'an application': [`web.${names.shop}.svc.cluster.local`, 80],
  }
  const targets = { ...documented, ...others }
  const expected = (outcomeOf: (isDocumented: boolean) => string): Record<string, string> =>
    Object.fromEntries(Object.keys(targets).map((name) => [name, outcomeOf(name in documented)]))

  await check('without a NetworkPolicy, agent and other pods reach everything', async () => {
    const lookouts = [
      [neighbour, namespace],
      [stranger, names.shop],
    ] as const
    await world.apply(...lookouts.map(([pod, where]) => lookout(pod, where, world.images.agent)))
    for (const [pod, where] of lookouts) {
      const ready = ['--for=condition=Ready', `pod/${pod}`, '--timeout=60s']
      await world.kubectl(['wait', '-n', where, ...ready])
    }
    assert.deepEqual(
      await fromAgent(),
      expected(() => 'connected'),
    )
    assert.deepEqual(await toAgent(namespace, neighbour), ports('connected'))
    assert.deepEqual(await toAgent(names.shop, stranger), ports('connected'))
  })
  await check('networkPolicy.enabled: the agent starts anew and works, kubectl too', async () => {
    await agent.upgrade({
      podAnnotations: { 'e2e/policy': 'enabled' },
      networkPolicy: {
        enabled: true,
        apiServer: { cidrs: [`${api.hostname}/32`], ports: [Number(api.port)] },
        controlPlane: { cidrs: [`${space.hostAddress}/32`] },
        // A policy sees pods, not the Service or the node's port that leads to them.
        extraEgress: [
          {
            to: [
              {
                namespaceSelector: {
                  matchLabels: { 'kubernetes.io/metadata.name': names.controlPlane.namespace },
                },
              },
            ],
            ports: [{ protocol: 'TCP', port: 8_443 }],
          },
        ],
      },
    })
    await agent.untilReady()
    await eventually(async () => (await fetch('proxy/version')).status === 200, {
      deadlineMs: 60_000,
      what: 'answers through the tunnel',
    })
    await world.helm(['test', agent.release, '-n', namespace, '--timeout', '60s'])
  })
  await check('it is enforced: out go DNS, API server and control plane alone', async () => {
    await eventually(
      async () => {
        const outcomes = expected((isDocumented) => (isDocumented ? 'connected' : refused))
        assert.deepEqual(await fromAgent(), outcomes)
        return true
      },
      { deadlineMs: settleMs, what: 'only what is documented is reached' },
    )
    return `reached: ${Object.keys(documented).join(', ')}; refused: ${Object.keys(others).join(', ')}`
  })
  await check('it is enforced: in come pods of the same namespace alone', async () => {
    assert.deepEqual(await toAgent(namespace, neighbour), ports('connected'))
    assert.deepEqual(await toAgent(names.shop, stranger), ports(refused))
  })
  await check('that of the control plane: its API for all, health for neighbours', async () => {
    const ofPod: Record<string, Target> = {
      api: [controlPlane, 8_443],
      health: [controlPlane, 8_083],
    }
    const out: Record<string, Target> = { api: [api.hostname, Number(api.port)] }
    const { release, namespace: where } = names.controlPlane
    const reached = () => dial(world, names.shop, [stranger], ofPod)
    const reaches = () => dial(world, where, [`statefulset/${release}`], out)
    assert.deepEqual(await reached(), { api: 'connected', health: 'connected' })
    assert.deepEqual(await reaches(), { api: 'connected' })
    await upgradeControlPlane(world, { networkPolicy: { enabled: true } })
    await eventually(
      async () => {
        assert.deepEqual(await reached(), { api: 'connected', health: refused })
        assert.deepEqual(await reaches(), { api: refused })
        return true
      },
      { deadlineMs: settleMs, what: 'what is not its API is refused' },
    )
    assert.equal((await fetch('proxy/version')).status, 200)
    await upgradeControlPlane(world, {})
  })
  await check('without it again, everything is reached', async () => {
    await agent.upgrade({})
    await agent.untilReady()
    await eventually(
      async () => {
        assert.deepEqual(await toAgent(names.shop, stranger), ports('connected'))
        return true
      },
      { deadlineMs: settleMs, what: 'it is reached' },
    )
    await world.kubectl(['delete', 'pod', neighbour, '-n', namespace])
    await world.kubectl(['delete', 'pod', stranger, '-n', names.shop])
  })

  function fromAgent(): Promise<Record<string, string>> {
    return dial(world, namespace, [`deployment/${agent.release}`, '-c', 'link'], targets)
  }

  async function toAgent(from: string, pod: string): Promise<Record<string, string>> {
    const address = (await agent.untilReady())[0]?.status.podIP as string
    const targets = healthPorts.map((port): [string, Target] => [String(port), [address, port]])
    return dial(world, from, [pod], Object.fromEntries(targets))
  }
}

type Target = readonly [host: string, port: number]

/** The same outcome for each port that the chart lets in. */
function ports(outcome: string): Record<string, string> {
  return Object.fromEntries(healthPorts.map((port) => [port, outcome]))
}

/** What comes of connecting from a container to each target: 'connected', or the error's code. */
async function dial(
  { kubectl }: World,
  namespace: string,
  container: string[],
  targets: Record<string, Target>,
): Promise<Record<string, string>> {
  const script = `
    const dial = ([name, [host, port]]) => new Promise((resolve) => {
      const socket = require('node:net').connect({ host, port, timeout: ${dialMs} })
      const end = (what) => { socket.destroy(); resolve([name, what]) }
      socket.once('connect', () => end('connected'))
      socket.once('timeout', () => end('timeout'))
      socket.once('error', ({ code }) => end(code))
    })
    Promise.all(${JSON.stringify(Object.entries(targets))}.map(dial))
      .then((all) => console.log(JSON.stringify(Object.fromEntries(all))))`
  const said = await kubectl(['exec', '-n', namespace, ...container, '--', 'node', '-e', script])
  return JSON.parse(said) as Record<string, string>
}

/** A port of the host, outside of the node, that takes connections. */
async function listen(port: number): Promise<AsyncDisposable & { port: number }> {
  const server = createServer((socket) => socket.on('error', () => {}).destroy())
  server.listen(port, space.hostAddress)
  await once(server, 'listening')
  return { port, [Symbol.asyncDispose]: async () => void server.close() }
}
