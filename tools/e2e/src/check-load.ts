import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'

import { WebSocket } from 'ws'

import type { Agent } from './agent.ts'
import type { Checks } from './checks.ts'
import { execute, type Outcome } from './command.ts'
import { controlPlanePod } from './control-plane.ts'
import { limitsMib, names } from './names.ts'
import { type Pod, restarts } from './pods.ts'
import { assertWithin, measure, type Taken } from './resources.ts'
import type { Tunnel } from './tunnel.ts'
import type { World } from './world.ts'

const askers = 4
const podReplicas = 2
const pollMs = 20
const batchSize = 10
const leastRequests = 200
const watchSeconds = 5

/** How much is asked of an agent, and the limits of the charts, in MiB. */
export type Load = {
  downloadMib: number
  execSessions: number
  limits: Record<string, number>
}
export const fullLoad: Load = {
  downloadMib: 1_024,
  execSessions: 200,
  limits: { ...limitsMib.agent, ...limitsMib.controlPlane },
}
export const edgeLoad: Load = { downloadMib: 256, execSessions: 50, limits: limitsMib.edge }

/** Under load nothing is killed for its memory; returns what each container took. */
export async function checkLoad(
  { check }: Checks,
  world: World,
  agent: Agent,
  tunnel: Tunnel,
  { downloadMib, execSessions, limits }: Load,
): Promise<Map<string, Taken>> {
  let loaded = new Map<string, Taken>()
  await check(
    `${downloadMib} MiB down and ${execSessions} exec sessions of ${agent.release}: no container is killed`,
    async () => {
      const readPods = async () => [...(await agent.untilReady()), await controlPlanePod(world)]
      const pods = await readPods()
      await using sessions = await openSessions(tunnel, execSessions)
      const { result, taken } = await measure(pods, () => download(world, tunnel, downloadMib))
      loaded = taken
      assert.equal(sessions.open(), execSessions)
      assert.deepEqual(restarts(await readPods()), restarts(pods))
      assertWithin(taken, limits)
      return `${(downloadMib / result.seconds).toFixed(0)} MiB/s`
    },
  )
  return loaded
}

async function download(
  { programs, dir }: World,
  { kubeconfig }: Tunnel,
  downloadMib: number,
): Promise<Outcome> {
  const dd = `dd if=/dev/zero bs=1048576 count=${downloadMib}`
  const where = `-n ${names.shop} deployment/web`
  const pipe = `"$0" --kubeconfig "$1" exec ${where} -- ${dd} | wc -c`
  const outcome = await execute('sh', ['-c', pipe, programs.kubectl, kubeconfig], {
    timeoutMs: 300_000,
    env: { HOME: dir },
  })
  assert.equal(outcome.stdout.trim(), String(downloadMib << 20), outcome.stderr)
  return outcome
}

/** A second pod. */
export async function checkTwoPods(
  { check }: Checks,
  agent: Agent,
  { fetch }: Tunnel,
): Promise<void> {
  await check('two pods: both are ready, and requests are answered', async () => {
    await agent.upgrade({ podReplicas })
    assert.equal((await agent.untilReady()).length, podReplicas)
    assert.equal((await fetch('proxy/version')).status, 200)
  })
}

/** With two pods, a rolling upgrade under load fails no request, and cuts no stream that is shorter than the grace. */
export async function checkRollingUpgrade(
  { check }: Checks,
  agent: Agent,
  tunnel: Tunnel,
): Promise<void> {
  await check(
    'a rolling upgrade of two pods under load: nothing fails, nothing is cut',
    async () => {
      const before = await agent.pods()
      const stopping = new AbortController()
      const path = `proxy/api/v1/namespaces/${names.shop}/configmaps`
      const askAll = (what: string) =>
        Array.from({ length: askers }, () => ask(tunnel, what, stopping.signal))
      const asking = askAll(path)
      const watching = askAll(`${path}?watch=1&timeoutSeconds=${watchSeconds}`)
      try {
        await agent.upgrade({ podReplicas, podAnnotations: { 'e2e/upgrade': 'second' } })
        const after = await agent.untilReady()
        const nameOf = ({ metadata }: Pod): string => metadata.name
        assert.deepEqual(
          new Set(after.map(nameOf)).intersection(new Set(before.map(nameOf))).size,
          0,
        )
      } finally {
        stopping.abort()
      }
      const requests = (await Promise.all(asking)).flat()
      const watches = (await Promise.all(watching)).flat()
      const all = [...requests, ...watches]
      const failed = all.filter((answer) => answer !== '200')
      assert.deepEqual(failed, [], `${failed.length} of ${all.length} failed`)
      assert.ok(requests.length > leastRequests, `only ${requests.length} requests`)
      assert.ok(watches.length > askers, `only ${watches.length} watches`)
      return `0 of ${requests.length} requests failed, 0 of ${watches.length} watches were cut`
    },
  )
}

/** Asks again and again; returns what came of each. */
async function ask({ fetch }: Tunnel, path: string, signal: AbortSignal): Promise<string[]> {
  const answers: string[] = []
  while (!signal.aborted) {
    const { status, body } = await fetch(path).catch((error: Error) => ({
      status: 0,
      body: error.message,
    }))
    answers.push(status === 200 ? '200' : `${status} ${body}`)
    await delay(pollMs)
  }
  return answers
}

/** Exec sessions that stay open until they are disposed. */
async function openSessions({ url, ca, token, kubectl }: Tunnel, count: number) {
  const name = await kubectl(['get', 'pods', '-n', names.shop, '-l', 'app=web', '-o', 'name'])
  const pod = name.trim().replace('pod/', '')
  const target = new URL(
    `${url.href.replace('https', 'wss')}proxy/api/v1/namespaces/${names.shop}/pods/${pod}/exec`,
  )
  target.search = 'command=cat&stdin=true&stdout=true'
  const sockets: WebSocket[] = []
  const open = (): number => sockets.filter((each) => each.readyState === WebSocket.OPEN).length
  await using scope = new AsyncDisposableStack()
  scope.defer(() => sockets.forEach((socket) => socket.terminate()))
  for (let batch = 0; batch < count; batch += batchSize) {
    const opening = Array.from({ length: batchSize }, async () => {
      const socket = new WebSocket(target, 'v5.channel.k8s.io', {
        ca,
        headers: { authorization: `Bearer ${token}` },
      })
      sockets.push(socket)
      await once(socket, 'open')
      socket.on('error', () => {})
      // Channel 0 is stdin; cat says it back on channel 1: the session is there.
      socket.send(Buffer.from('\0hello'))
      for (;;) {
        const [data] = (await once(socket, 'message')) as [Buffer]
        if (data.toString() === '\u0001hello') return
      }
    })
    await Promise.all(opening)
  }
  const owned = scope.move()
  return { open, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
