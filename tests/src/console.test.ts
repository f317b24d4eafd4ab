import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

import { eventually, type FaultProxy } from '@agent/testing'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { WebSocket } from 'ws'

import { type ConsoleClient, nextMessage, openConsole } from './console-client.ts'
import { startSystemOverFaults, type System } from './system.ts'

const root = join(import.meta.dirname, '../..')
let system: System
let path: FaultProxy
let client: ConsoleClient

beforeAll(async () => {
  ;({ system, path } = await startSystemOverFaults())
  client = await openConsole(system)
}, 600_000)
afterAll(async () => {
  await system?.[Symbol.asyncDispose]()
  await path?.[Symbol.asyncDispose]()
})
afterEach(() => system.stack.untilReady(60_000))

type Hop = { id: string; state: string; latencyMs: number | null; text: string }

async function ready(): Promise<{ status: number; reason: string }> {
  const response = await client.get('/ready')
  return { status: response.status, ...((await response.json()) as { reason: string }) }
}

async function hop(id: string): Promise<Hop> {
  const { hops } = (await client.json('/api/health/detailed')) as unknown as { hops: Hop[] }
  return hops.find((each) => each.id === id) as Hop
}

/** The answer of /ready must name the trouble within its written time, and be 200 again after it. */
async function notReadyWithin(deadlineMs: number, reason: RegExp): Promise<void> {
  await eventually(
    async () => {
      // So that a failure tells what it said instead.
      expect(await ready()).toMatchObject({ status: 503, reason: expect.stringMatching(reason) })
      return true
    },
    { deadlineMs, what: `/ready saying ${reason.source}` },
  )
}

async function readyAgain(): Promise<void> {
  await eventually(async () => (await ready()).status === 200, {
    deadlineMs: 30_000,
    what: '/ready saying 200',
  })
}

/** A request that policy refuses is worth an event. */
async function somethingHappens(): Promise<void> {
  const answer = await system.call('tunnel', { path: '/api/v1/nodes/node-1/proxy/' })
  expect(answer.status).toBe(403)
}

async function metric(name: string): Promise<number> {
  const text = await (await client.get('/metrics')).text()
  const lines = text.split('\n').filter((line) => new RegExp(`^${name}[ {]`).test(line))
  if (lines.length === 0) throw new Error(`there is no ${name}`)
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

test('health, readiness, version and metrics are open; everything else needs a token', async () => {
  await readyAgain()
  for (const open of ['/health', '/ready', '/version', '/metrics']) {
    expect((await fetch(client.url + open)).status).toBe(200)
  }
  const closed = [
    '/api/health/detailed',
    '/api/realtime/events',
    '/dashboard',
    '/api/openapi.json',
    '/ws',
  ]
  for (const each of closed) {
    for (const headers of [
      {},
      { authorization: 'Bearer wrong-token' },
      { cookie: 'pipeops_console=x' },
    ]) {
      const response = await fetch(client.url + each, {
        headers: headers as Record<string, string>,
      })
      expect([each, response.status]).toEqual([each, 401])
      expect(await response.text()).not.toContain('wrong-token')
    }
  }
  const foreign = await client.get('/api/health/detailed', { origin: 'https://evil.example' })
  expect(foreign.status).toBe(403)
})

test('a token of the cluster opens the console to whom RBAC allows it, and to nobody else', async () => {
  const make = (...args: string[]): Promise<string> => system.kubectl('direct', ...args)
  for (const name of ['may', 'may-not']) await make('create', 'serviceaccount', name, '-n', 'shop')
  await make(
    'create',
    'clusterrole',
    'console-reader',
    '--verb=get',
    '--non-resource-url=/pipeops/console',
  )
  await make(
    'create',
    'clusterrolebinding',
    'console-reader',
    '--clusterrole=console-reader',
    '--serviceaccount=shop:may',
  )
  for (const [name, expected] of [
    ['may', 200],
    ['may-not', 403],
  ] as const) {
    const token = (await make('create', 'token', name, '-n', 'shop')).trim()
    const response = await fetch(`${client.url}/api/health/detailed`, {
      headers: { authorization: `Bearer ${token}` },
    })
    expect([name, response.status]).toEqual([name, expected])
  }
})

test('who loses the right to the console is out within 15 s', async () => {
  const make = (...args: string[]): Promise<string> => system.kubectl('direct', ...args)
  const token = (await make('create', 'token', 'may', '-n', 'shop')).trim()
  const headers = { authorization: `Bearer ${token}` }
  const status = async (): Promise<number> =>
    (await fetch(`${client.url}/api/health/detailed`, { headers })).status
  expect(await status()).toBe(200)
  await make('delete', 'clusterrolebinding', 'console-reader')
  await eventually(async () => (await status()) === 403, { deadlineMs: 15_000, what: 'a refusal' })
})

test('all documented metrics are there in one scrape, labelled by sidecar, and move', async () => {
  const before = await Promise.all([
    metric('pipeops_http_requests_total'),
    metric('pipeops_kubernetes_api_calls_total'),
  ])
  await system.call('tunnel', { path: '/api/v1/pods' })
  const socket = await client.socket()
  const names = [
    'pipeops_agent_status',
    'pipeops_tunnel_status',
    'pipeops_heartbeat_total',
    'pipeops_heartbeat_errors_total',
    'pipeops_registration_attempts_total',
    'pipeops_http_requests_total',
    'pipeops_tunnel_forwards_active',
    'pipeops_websocket_connections',
    'pipeops_sse_connections',
    'pipeops_cluster_nodes_total',
    'pipeops_cluster_pods_total',
    'pipeops_agent_uptime_seconds',
    'pipeops_kubernetes_api_calls_total',
  ]
  const values = Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await metric(name)])),
  )
  expect(values).toMatchObject({
    pipeops_agent_status: 1,
    pipeops_tunnel_status: 1,
    pipeops_websocket_connections: 1,
    pipeops_cluster_nodes_total: 3,
    pipeops_cluster_pods_total: 9,
  })
  expect(values['pipeops_heartbeat_total']).toBeGreaterThan(0)
  expect(values['pipeops_http_requests_total']).toBeGreaterThan(before[0])
  expect(values['pipeops_kubernetes_api_calls_total']).toBeGreaterThan(before[1])
  const text = await (await client.get('/metrics')).text()
  for (const sidecar of ['link', 'proxy', 'console']) {
    expect(text).toContain(`process_resident_memory_bytes{sidecar="${sidecar}"`)
  }
  expect(text).toMatch(
    /pipeops_hop_duration_seconds_count\{[^}]*hop="api-server",kind="kube"\} [1-9]/,
  )
  socket.close()
  await eventually(async () => (await metric('pipeops_websocket_connections')) === 0, {
    deadlineMs: 5_000,
    what: 'the closed connection no longer counted',
  })
})

test('answers have the shape the OpenAPI document says', async () => {
  const { paths } = (await client.json('/api/openapi.json')) as unknown as {
    paths: Record<
      string,
      {
        get: {
          responses: Record<
            string,
            { content: Record<string, { schema?: { required?: string[] } }> }
          >
        }
      }
    >
  }
  expect(Object.keys(paths)).toHaveLength(14)
  for (const [each, { get }] of Object.entries(paths)) {
    const schema = get.responses['200']?.content['application/json']?.schema
    if (schema === undefined) continue
    const answer = await client.json(each)
    expect([each, Object.keys(answer).toSorted()]).toEqual([
      each,
      (schema.required ?? []).toSorted(),
    ])
  }
})

test('the connectivity test tries every step and finds all well', async () => {
  const { verdict, steps, brokenHop } = (await client.json(
    '/api/status/connectivity',
  )) as unknown as {
    verdict: string
    brokenHop: string | null
    steps: { name: string; verdict: string }[]
  }
  expect([verdict, brokenHop]).toEqual(['ok', null])
  expect(steps.map(({ name }) => name)).toEqual([
    'name',
    'tcp',
    'proxy',
    'tls',
    'clock',
    'websocket',
    'round trip',
    'api server',
    'rights',
    'impersonation',
  ])
})

test('an event stream goes on where it was left, and says what is new as it happens', async () => {
  const first = await client.events('/api/realtime/events', (events) => events.length >= 4)
  const last = first.at(-1)?.id as number
  await somethingHappens()
  const later = await client.events(
    '/api/realtime/events',
    (events) => events.some(({ data }) => /refused/.test(String(data['text']))),
    { 'last-event-id': String(last) },
  )
  const ids = later.flatMap(({ id }) => (id === undefined ? [] : [id]))
  expect(ids[0]).toBe(last + 1)
  expect(ids).toEqual(ids.map((_, index) => last + 1 + index))
})

test('/ws answers questions and sends what it was asked to, in the documented envelope', async () => {
  const socket = await client.socket()
  socket.send('{"type":"get_status"}')
  expect(await nextMessage(socket, 'status')).toMatchObject({
    timestamp: expect.stringMatching(/^\d{4}-/),
    data: { registered: true },
  })
  socket.send('{"type":"get_metrics"}')
  expect((await nextMessage(socket, 'metrics')).data).toHaveProperty('processes')
  socket.send('{"type":"subscribe"}')
  await nextMessage(socket, 'subscribed')
  await somethingHappens()
  expect((await nextMessage(socket, 'event')).data).toHaveProperty('text')
  socket.send('not JSON')
  expect((await nextMessage(socket, 'error')).data).toMatchObject({ code: 'bad-request' })
  socket.terminate()
})

test('logs of the sidecars and of any pod are read live, as the user who asks', async () => {
  const own = await client.events('/api/realtime/logs?sidecar=link&grep=registered', (events) =>
    events.some(({ event }) => event === 'log'),
  )
  expect(own.at(-1)?.data['line']).toContain('"sidecar":"link"')
  const url = `${system.stack.controlPlaneUrl}/api/v1/clusters/agent/demo/agent`
  const logs = '/api/realtime/logs?namespace=shop&pod=web-0&follow=false&tail=5'
  const agentPath = url.slice(system.stack.controlPlaneUrl.length)
  const through = await system.callPath(`${agentPath}${logs}`)
  expect(through.status).toBe(200)
  expect(through.body.toString()).toMatch(/event: log\ndata: \{"pod":"web-0"/)
  // The console's own token stands for a user the cluster gives nothing to.
  const refused = await client.get(logs)
  expect(refused.status).toBe(403)
  expect((await client.get('/api/realtime/logs?namespace=shop')).status).toBe(400)
})

test('a hundred readers of each kind are served, the next is refused, the deaf ones cost nothing', async () => {
  const memory = async (): Promise<number> => {
    const pid = system.stack.processes.get('console')?.pid
    return Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024
  }
  const make = (...args: string[]): Promise<string> => system.kubectl('direct', ...args)
  await make('create', 'serviceaccount', 'other', '-n', 'shop')
  const binding = ['--clusterrole=console-reader', '--serviceaccount=shop:other']
  await make('create', 'clusterrolebinding', 'other-console-reader', ...binding)
  const other = (await make('create', 'token', 'other', '-n', 'shop')).trim()
  const before = await memory()
  await using scope = new AsyncDisposableStack()
  const open = (token: string): Promise<WebSocket[]> =>
    Promise.all(Array.from({ length: 50 }, () => client.socket(token)))
  const sockets = await open(client.token)
  scope.defer(() => sockets.forEach((socket) => socket.terminate()))
  // One user cannot take all places.
  await expect(client.socket()).rejects.toThrow('503')
  sockets.push(...(await open(other)))
  for (const [index, socket] of sockets.entries()) {
    socket.send('{"type":"subscribe"}')
    if (index % 2 === 0) socket.pause()
  }
  for (let index = 0; index < 50; index++) scope.use(await client.deafReader())
  const abort = new AbortController()
  scope.defer(() => abort.abort())
  const readers = await Promise.all(
    Array.from({ length: 50 }, () =>
      fetch(`${client.url}/api/realtime/events?status=true`, {
        headers: { authorization: `Bearer ${other}` },
        signal: abort.signal,
      }),
    ),
  )
  expect(readers.every(({ status }) => status === 200)).toBe(true)
  await eventually(async () => (await metric('pipeops_sse_connections')) === 100, {
    deadlineMs: 10_000,
    what: 'a hundred event streams',
  })
  const refused = await client.get('/api/realtime/events')
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '10'])
  await expect(client.socket()).rejects.toThrow('503')

  const [listener] = sockets.slice(1) as [WebSocket]
  for (let turn = 0; turn < 20; turn++) {
    const news = nextMessage(listener, 'event')
    await somethingHappens()
    await news
  }
  expect((await memory()) - before).toBeLessThan(64)
}, 90_000)

test('whatever a query says, the answer is never the console’s own failure', async () => {
  const values = [
    '',
    '-1',
    '1e99',
    '9'.repeat(400),
    '../..',
    '%00',
    '💥',
    '{"$ne":1}',
    '<script>',
    'true,false',
    'null',
    '\u0000',
  ]
  const names = [
    'lastEventId',
    'status',
    'namespace',
    'pod',
    'container',
    'since',
    'tail',
    'follow',
    'grep',
    'sidecar',
    'level',
    '__proto__',
    'constructor',
  ]
  for (const target of [
    '/api/realtime/events',
    '/api/realtime/logs',
    '/api/events',
    '/nothing',
    '/assets/../x',
  ]) {
    for (const name of names) {
      for (const value of values) {
        const abort = new AbortController()
        const response = await fetch(
          `${client.url}${target}?${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
          {
            headers: { authorization: `Bearer ${client.token}` },
            signal: abort.signal,
          },
        )
        expect([target, name, value, response.status < 500]).toEqual([target, name, value, true])
        abort.abort()
      }
    }
  }
  await eventually(async () => (await metric('pipeops_sse_connections')) === 0, {
    deadlineMs: 10_000,
    what: 'the end of what the queries opened',
  })
}, 90_000)

test('a cut connection shows in 5 s, and that it is back', async () => {
  path.blackHole()
  path.cut()
  await notReadyWithin(15_000, /proxy|link|connect/)
  path.heal()
  await readyAgain()
}, 90_000)

test('an API server that is away is named as the broken hop within 15 s', async () => {
  for (const pid of system.cluster.pids) process.kill(pid, 'SIGSTOP')
  try {
    const [tested] = await Promise.all([
      client.json('/api/status/connectivity'),
      notReadyWithin(15_000, /API server/),
    ])
    expect(tested).toMatchObject({ verdict: 'fail', brokenHop: 'api-server' })
    expect(await hop('api-server')).toMatchObject({ state: 'down' })
  } finally {
    for (const pid of system.cluster.pids) process.kill(pid, 'SIGCONT')
  }
  await readyAgain()
}, 120_000)

test('a dead sidecar is missed within 15 s, named everywhere, and welcome back', async () => {
  const pid = system.stack.processes.get('proxy-1')?.pid as number
  process.kill(pid, 'SIGSTOP')
  try {
    await notReadyWithin(15_000, /the proxy sidecar is silent/)
    expect(await hop('proxy')).toMatchObject({ state: 'down' })
    const { features } = (await client.json('/api/status/features')) as unknown as {
      features: { name: string; enabled: boolean; negotiated: boolean | null; reason: string }[]
    }
    // Agreed at registration, whatever is connected now.
    expect(features.find(({ name }) => name === 'streams-v2')).toMatchObject({ negotiated: true })
    expect(features.find(({ name }) => name === 'kubernetes-api')).toMatchObject({
      enabled: false,
      reason: expect.stringContaining('silent'),
    })
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  await readyAgain()
}, 90_000)

test('a console that was killed knows cluster and heartbeats once link reports, not with the next beat', async () => {
  const pid = system.stack.processes.get('console')?.pid as number
  process.kill(pid, 'SIGKILL')
  await eventually(
    async () => {
      const { cluster, heartbeat } = (await client.json('/api/health/detailed')) as unknown as {
        cluster: { nodes: number | null; pods: number | null } | null
        heartbeat: { ok: boolean | null }
      }
      return cluster?.nodes === 3 && cluster.pods === 9 && heartbeat.ok === true
    },
    { deadlineMs: 10_000, what: 'what link reports' },
  )
  // A heartbeat in that moment tells as much, before link itself was heard.
  await readyAgain()
}, 60_000)

test('a right that was taken away shows in the connectivity test, with what it was for', async () => {
  const role = JSON.parse(
    await system.kubectl('direct', 'get', 'clusterrole', 'pipeops-agent', '-o', 'json'),
  ) as { rules: { resources?: string[] }[] }
  const less = {
    ...role,
    rules: role.rules.filter(({ resources }) => !resources?.includes('nodes')),
  }
  const dir = await mkdtemp(join(tmpdir(), 'pipeops-role-'))
  try {
    const files = { less: join(dir, 'less'), all: join(dir, 'all') }
    await writeFile(files.less, JSON.stringify({ ...less, metadata: { name: 'pipeops-agent' } }))
    await writeFile(files.all, JSON.stringify({ ...role, metadata: { name: 'pipeops-agent' } }))
    await system.kubectl('direct', 'replace', '-f', files.less)
    await eventually(
      async () =>
        JSON.stringify(await client.json('/api/status/connectivity')).includes('list nodes'),
      { deadlineMs: 15_000, what: 'the missing right named' },
    )
    await system.kubectl('direct', 'replace', '-f', files.all)
  } finally {
    await rm(dir, { recursive: true })
  }
}, 60_000)

test('the doctor says the same on a terminal, and its bundle holds no secret', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'pipeops-doctor-'))
  try {
    const settings = JSON.parse(
      await readFile(join(system.dir, 'stack/doctor.json'), 'utf8'),
    ) as Record<string, string>
    const bundle = join(dir, 'bundle.tar.gz')
    const seeded = 'seeded-secret-4711'
    const well = await doctor(['--bundle', bundle], {
      ...settings,
      HTTPS_PROXY: '',
      KUBERNETES_NOTHING: '',
      PIPEOPS_TOKEN: seeded,
    })
    expect(well.output.trimEnd().split('\n').at(-1)).toBe('Everything that was tested works.')
    expect(well.code).toBe(0)
    const content = gunzipSync(await readFile(bundle)).toString('utf8')
    for (const part of [
      'versions.json',
      'configuration.json',
      'status.json',
      'metrics.txt',
      'events.json',
    ]) {
      expect(content).toContain(`pipeops-agent/${part}`)
    }
    expect(content).toContain('pipeops_agent_status')
    const files = [
      settings['PIPEOPS_TOKEN_FILE'],
      settings['CONSOLE_TOKEN_FILE'],
      settings['KUBERNETES_TOKEN_FILE'],
    ]
    for (const file of files) {
      expect(content).not.toContain((await readFile(file as string, 'utf8')).trim())
    }
    expect(content).not.toContain(seeded)

    const broken = await doctor([], { ...settings, PIPEOPS_API_URL: 'https://127.0.0.1:1' })
    expect(broken.code).toBe(1)
    expect(broken.output.trimEnd().split('\n').at(-1)).toMatch(/^Broken at: connection\. /)
    expect((await doctor(['--what'], {})).code).toBe(2)
  } finally {
    await rm(dir, { recursive: true })
  }
}, 60_000)

function doctor(
  args: string[],
  env: Record<string, string>,
): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [join(root, 'apps/console/src/doctor/main.ts'), ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    timeout: 30_000,
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })))
}

test(
  'every socket, file, child, timer, stream and subscription is back to the baseline',
  () => system.backToStart(),
  120_000,
)
