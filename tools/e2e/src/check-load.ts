import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'

import { WebSocket } from 'ws'

import type { Checks } from './checks.ts'
import { execute } from './command.ts'
import { type AgentPod, names, untilAgentReady, upgradeAgent } from './install.ts'
import { readMemory } from './memory.ts'
import type { Tunnel } from './tunnel.ts'
import { until } from './until.ts'
import type { World } from './world.ts'

const downloadMib = 1_024
const execSessions = 200
const pollMs = 20

/** Under load: nothing is killed for its memory, and a rolling upgrade fails no request. */
export async function checkLoad({ check }: Checks, world: World, tunnel: Tunnel): Promise<void> {
  await check(
    `${downloadMib} MiB down and ${execSessions} exec sessions: no container is killed`,
    async () => {
      const before = restarts(await untilAgentReady(world))
      await using sessions = await openSessions(tunnel)
      const { kubectl: program } = world.programs
      const dd = ['dd', 'if=/dev/zero', 'bs=1048576', `count=${downloadMib}`]
      const pipe = `"$0" --kubeconfig "$1" exec -n shop deployment/web -- ${dd.join(' ')} | wc -c`
      const counted = await execute('sh', ['-c', pipe, program, tunnel.kubeconfig], {
        timeoutMs: 300_000,
        env: { HOME: world.dir },
      })
      assert.equal(counted.stdout.trim(), String(downloadMib << 20), counted.stderr)
      const memory = await readMemory(world, [names.agent.namespace, names.controlPlane.namespace])
      assert.equal(sessions.open(), execSessions)
      assert.deepEqual(restarts(await untilAgentReady(world)), before)
      const rate = (downloadMib / counted.seconds).toFixed(0)
      return `${rate} MiB/s; ${memory.join(', ')}`
    },
  )

  await check('a rolling upgrade of two pods under load: no request fails', async () => {
    await upgradeAgent(world, { podReplicas: 2 })
    await untilAgentReady(world)
    await until('kubectl works', async () => (await tunnel.fetch('/version')).status === 200)
    const stopping = new AbortController()
    const done = Promise.all(Array.from({ length: 4 }, () => ask(tunnel, stopping.signal)))
    await upgradeAgent(world, { podReplicas: 2, podAnnotations: { 'e2e/upgrade': 'second' } })
    await untilAgentReady(world)
    stopping.abort()
    const all = (await done).flat()
    const failed = all.filter((answer) => answer !== '200')
    assert.deepEqual(failed, [], `${failed.length} of ${all.length} requests failed`)
    return `${all.length} requests`
  })
}

/** Asks again and again; returns what came of each. */
async function ask({ fetch }: Tunnel, signal: AbortSignal): Promise<string[]> {
  const answers: string[] = []
  while (!signal.aborted) {
    const path = '/api/v1/namespaces/shop/configmaps'
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
async function openSessions({ url, ca, token, kubectl }: Tunnel) {
  const name = await kubectl(['get', 'pods', '-n', 'shop', '-l', 'app=web', '-o', 'name'])
  const pod = name.trim().replace('pod/', '')
  const target = new URL(
    `${url.href.replace('https', 'wss')}/api/v1/namespaces/shop/pods/${pod}/exec`,
  )
  target.search = 'command=cat&stdin=true&stdout=true'
  const sockets: WebSocket[] = []
  const open = (): number => sockets.filter((each) => each.readyState === WebSocket.OPEN).length
  await using scope = new AsyncDisposableStack()
  scope.defer(() => sockets.forEach((socket) => socket.terminate()))
  for (let batch = 0; batch < execSessions; batch += 20) {
    const opening = Array.from({ length: 20 }, async () => {
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

/** How often each container was started again, and why the last one ended. */
function restarts(pods: AgentPod[]): string[] {
  return pods.flatMap(({ metadata, status }) =>
    (status.containerStatuses ?? []).map(({ name, restartCount, lastState }) =>
      [metadata.name, name, restartCount, lastState?.terminated?.reason ?? ''].join(' '),
    ),
  )
}
