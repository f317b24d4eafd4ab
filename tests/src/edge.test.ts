import { eventually } from '@agent/testing'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'

import { type ConsoleClient, openConsole } from './console-client.ts'
import { startSystem, type System } from './system.ts'

let system: System
let client: ConsoleClient

beforeAll(async () => {
  system = await startSystem({ profile: 'edge' })
  client = await openConsole(system)
}, 600_000)
afterAll(() => system?.[Symbol.asyncDispose]())
afterEach(() => system.stack.untilReady(60_000))

function pid(): number {
  return system.stack.processes.get('edge')?.pid as number
}

test('the agent is one process, without a nats-server', () => {
  expect([...system.stack.processes.keys()]).toEqual(['control-plane', 'edge'])
})

test.each([
  [['get', 'pods', '-n', 'shop', '-o', 'yaml']],
  [['logs', '-n', 'shop', 'web-0']],
  [['exec', '-n', 'shop', 'web-0', '--', 'cat', 'hello.txt']],
])('stock kubectl prints the same as directly: %j', async (args) => {
  expect(await system.kubectl('tunnel', ...args)).toBe(await system.kubectl('direct', ...args))
})

test('the console tells the sidecars apart, says that it is ready, and shows one process', async () => {
  expect((await client.get('/ready')).status).toBe(200)
  const { sidecars } = (await client.json('/api/health/detailed')) as unknown as {
    sidecars: { sidecar: string; state: string }[]
  }
  expect(sidecars.map(({ sidecar, state }) => [sidecar, state])).toEqual([
    ['console', 'ok'],
    ['edge', 'ok'],
    ['link', 'ok'],
    ['proxy', 'ok'],
  ])
  const { processes } = (await client.json('/api/metrics/runtime')) as unknown as {
    processes: { sidecar: string }[]
  }
  expect(processes.map(({ sidecar }) => sidecar)).toEqual(['edge'])
})

test('one scrape has everything, also that of the health port', async () => {
  for (const text of [
    await (await client.get('/metrics')).text(),
    await system.stack.metrics('edge'),
  ]) {
    for (const line of [
      /^pipeops_agent_status\{.*sidecar="link".*\} 1$/m,
      /^pipeops_proxy_connections\{.*sidecar="proxy".*\} 1$/m,
      /^pipeops_sse_connections\{.*sidecar="console".*\} 0$/m,
      /^process_resident_memory_bytes\{.*sidecar="edge".*\} \d+$/m,
    ]) {
      expect(text).toMatch(line)
    }
    expect(text.match(/^process_resident_memory_bytes\{/gm)).toHaveLength(1)
  }
})

test('killed, it is back in 15 s, as the same agent', async () => {
  const show = () => system.stack.ctl('clusters', 'show', system.stack.clusterName)
  const { agentId } = (await show()) as { agentId: string }
  const before = pid()
  await using watch = await system.watch()
  process.kill(before, 'SIGKILL')
  await watch.ended
  await eventually(
    async () =>
      pid() !== before && (await system.call('tunnel', { path: '/version' })).status === 200,
    { deadlineMs: 15_000, what: 'an answer through another process' },
  )
  expect(agentId).toEqual(expect.any(String))
  expect(await show()).toMatchObject({ agentId })
})

test('asked to stop, it lets a running answer end, and stops in good order', async () => {
  const before = pid()
  const { status, body } = await new Promise<{ status: number; body: Buffer }>(
    (resolve, reject) => {
      const answer = system.call('tunnel', { path: '/api/v1/pods?watch=1&timeoutSeconds=2' })
      answer.then(resolve, reject)
      setTimeout(() => process.kill(before, 'SIGTERM'), 500)
    },
  )
  expect(status).toBe(200)
  expect(body.length).toBeGreaterThan(0)
  await eventually(() => pid() !== undefined && pid() !== before, {
    deadlineMs: 15_000,
    what: 'the next process',
  })
  expect(await system.stack.processes.get('edge')?.tail()).toContain('"msg":"stopped"')
})

test('every socket, file, child, timer, stream and subscription is back to the baseline', async () => {
  await system.backToStart()
}, 120_000)
