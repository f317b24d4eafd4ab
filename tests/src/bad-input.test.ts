import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'

import { eventually, startNats } from '@agent/testing'
import { resolveTool } from '@agent/toolbox'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { type App, runApp } from './process.ts'
import { startSystem, type System } from './system.ts'

const scope = new AsyncDisposableStack()
let system: System
let agent: Record<string, string>

beforeAll(async () => {
  system = scope.use(
    await startSystem({
      env: {
        'control-plane': { CONTROL_PLANE_WAIT_SECONDS: '1' },
        proxy: { PROXY_CANARY_INTERVAL_SECONDS: '1' },
      },
    }),
  )
  const nats = scope.use(await startNats(await resolveTool('nats-server')))
  const dir = await mkdtemp(join(tmpdir(), 'pipeops-bad-'))
  scope.defer(() => rm(dir, { recursive: true }))
  const tokenFile = join(dir, 'token')
  await writeFile(tokenFile, 'pag_wrong-but-secret')
  agent = {
    BUS_URL: nats.url,
    KUBERNETES_URL: system.cluster.url,
    KUBERNETES_CA_FILE: system.cluster.caFile,
    KUBERNETES_TOKEN_FILE: system.cluster.agentTokenFile,
    PIPEOPS_API_URL: system.stack.controlPlaneUrl,
    PIPEOPS_CA_FILE: system.stack.caFile,
    PIPEOPS_TOKEN_FILE: tokenFile,
    PIPEOPS_CLUSTER_NAME: 'demo',
    PIPEOPS_STATE: 'file',
    PIPEOPS_STATE_FILE: join(dir, 'state'),
  }
}, 600_000)
afterAll(() => scope.disposeAsync())

async function reason(app: App, expected: RegExp): Promise<void> {
  await eventually(
    async () => {
      const ready = await app.readyz()
      expect(ready.status).toBe(503)
      expect(ready.reason).toMatch(expected)
      return true
    },
    { deadlineMs: 15_000, what: `the reason ${expected.source}` },
  )
}

async function status(
  path: string,
  options: { token?: string; headers?: Record<string, string> } = {},
) {
  const answer = await system.call('tunnel', { path, ...options })
  return {
    http: answer.status,
    headers: answer.headers,
    ...(JSON.parse(answer.body.toString()) as object),
  }
}

test('every configuration problem is told at once, without values, with exit code 2', async () => {
  await using app = runApp('link', {
    PIPEOPS_API_URL: 'not-a-url-but-secret',
    PIPEOPS_CLUSTER_NAME: 'Bad_Name',
    PIPEOPS_HEARTBEAT_INTERVAL_SECONDS: '99',
  })
  expect(await app.exited).toBe(2)
  for (const name of [
    'PIPEOPS_API_URL',
    'PIPEOPS_CLUSTER_NAME',
    'PIPEOPS_HEARTBEAT_INTERVAL_SECONDS',
    'PIPEOPS_TOKEN_FILE',
  ]) {
    expect(app.output).toContain(name)
  }
  expect(app.output).not.toMatch(/secret|Bad_Name|99/)
})

test('a file that is not there is named with its setting', async () => {
  await using app = runApp('proxy', { ...agent, KUBERNETES_TOKEN_FILE: '/no/such/token' })
  expect(await app.exited).toBe(2)
  expect(app.output).toMatch(/KUBERNETES_TOKEN_FILE.*\/no\/such\/token/)
})

test('a wrong agent token ends link with code 1 and says what to do, never the token', async () => {
  await using app = runApp('link', agent)
  expect(await app.exited).toBe(1)
  expect(app.output).toContain('credentials-refused')
  expect(app.output).toContain('agent-tokens create')
  expect(app.output).not.toContain('wrong-but-secret')
})

test('a control plane that is not there leaves link running, not ready, with the reason', async () => {
  await using app = runApp('link', { ...agent, PIPEOPS_API_URL: 'https://127.0.0.1:1' })
  await reason(
    app,
    /no connection to 127\.0\.0\.1:1 .*ECONNREFUSED.*hop: connection.*PIPEOPS_API_URL/,
  )
})

test('something else than a control plane is told apart from it', async () => {
  const server = createServer((_request, response) => response.end('hello'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = server.address() as AddressInfo
    await using app = runApp('link', { ...agent, PIPEOPS_API_URL: `http://127.0.0.1:${port}` })
    await reason(app, /answered 200 instead of a WebSocket/)
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

test('a certificate that is not trusted is told as such', async () => {
  const { PIPEOPS_CA_FILE: _, ...without } = agent
  await using app = runApp('link', without)
  await reason(app, /not trusted.*PIPEOPS_CA_FILE/)
})

test('missing RBAC is told, and link waits for it', async () => {
  const token = join(system.dir, 'no-rights')
  await system.kubectl('direct', 'create', 'serviceaccount', 'nobody', '-n', 'default')
  await writeFile(
    token,
    (await system.kubectl('direct', 'create', 'token', 'nobody', '-n', 'default')).trim(),
  )
  await using app = runApp('link', {
    ...agent,
    PIPEOPS_STATE: 'kubernetes',
    KUBERNETES_TOKEN_FILE: token,
  })
  await reason(app, /may not read ConfigMap.*403.*hop: api-server.*role/)
})

test('SIGTERM ends a process with code 0, also while it still waits for its bus', async () => {
  await using app = runApp('link', { ...agent, BUS_URL: 'nats://127.0.0.1:1' })
  await app.readyz()
  app.kill('SIGTERM')
  expect(await app.exited).toBe(0)
})

test('an unknown cluster, and one that is not yours, are 404 with code and advice', async () => {
  const { token } = (await system.stack.ctl(
    'tokens',
    'create',
    '--user',
    'eve',
    '--cluster',
    'other',
  )) as { token: string }
  const answer = await status('/version', { token })
  expect(answer).toMatchObject({ http: 404, kind: 'Status', reason: 'NotFound' })
  expect(JSON.stringify(answer)).toMatch(/cluster-unknown.*control-plane/)
})

test('no token, a wrong one and an expired one are 401, each with its own code', async () => {
  expect(await status('/version', { token: 'nonsense' })).toMatchObject({
    http: 401,
    details: { causes: [{ reason: 'unauthenticated' }] },
  })
  const { token } = (await system.stack.ctl(
    'tokens',
    'create',
    '--user',
    'late',
    '--expires',
    '1s',
  )) as { token: string }
  await eventually(async () => (await status('/version', { token })).http === 401, {
    deadlineMs: 5_000,
    what: 'expiry',
  })
  expect(await status('/version', { token })).toMatchObject({
    details: { causes: [{ reason: 'token-expired' }] },
  })
})

test('a revoked token is refused at once, and its running streams end within 5 s', async () => {
  const { token, id } = (await system.stack.ctl(
    'tokens',
    'create',
    '--user',
    'demo-admin',
    '--group',
    'pipeops:admins',
  )) as {
    token: string
    id: string
  }
  await using watch = await system.watch(token)
  expect((await system.call('tunnel', { path: '/version', token })).status).toBe(200)
  await system.stack.ctl('tokens', 'revoke', id)
  expect((await system.call('tunnel', { path: '/version', token })).status).toBe(401)
  await eventually(() => !watch.isOpen, { deadlineMs: 5_000, what: 'the end of the watch' })
})

test('a path and headers that are too large have their own codes', async () => {
  expect(await status(`/${'x'.repeat(20_000)}`)).toMatchObject({
    http: 414,
    details: { causes: [{ reason: 'path-too-long' }] },
  })
  expect(await status('/version', { headers: { 'x-big': 'x'.repeat(40_000) } })).toMatchObject({
    http: 431,
    details: { causes: [{ reason: 'headers-too-large' }] },
  })
})

test('what is no HTTP is answered with 400 and closed; plain HTTP is closed', async () => {
  const { port } = new URL(system.stack.controlPlaneUrl)
  const answer = await new Promise<string>((resolve) => {
    const socket = connectTls({ port: Number(port), host: '127.0.0.1', rejectUnauthorized: false })
    let text = ''
    socket.on('data', (bytes) => (text += bytes.toString()))
    socket.on('close', () => resolve(text))
    socket.end('NONSENSE\r\n\r\n')
  })
  expect(answer).toMatch(/^HTTP\/1\.1 400.*"reason":"bad-request"/s)
  await new Promise<void>((resolve) => {
    const socket = connect({ port: Number(port), host: '127.0.0.1' })
    socket.on('close', () => resolve())
    socket.on('error', () => {})
    socket.write('GET / HTTP/1.1\r\n\r\n')
  })
})

test('an API server that is down is named, by the answer and by readiness, and comes back', async () => {
  const pid = system.cluster.pids[1] as number
  process.kill(pid, 'SIGSTOP')
  try {
    await eventually(
      async () => {
        expect((await system.stack.readyz('proxy-1')).reason).toMatch(/API server/)
        return true
      },
      { deadlineMs: 20_000, what: 'readiness naming the API server' },
    )
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  await system.stack.untilReady(20_000)
}, 60_000)

test('a cluster whose agent is away is 503 with Retry-After once the wait is over', async () => {
  const proxy = system.stack.processes.get('proxy-1')
  proxy?.kill('SIGSTOP')
  try {
    await eventually(async () => (await status('/version')).http === 503, {
      deadlineMs: 15_000,
      what: 'an answer of 503',
    })
    const answer = await status('/version')
    expect(answer).toMatchObject({
      http: 503,
      details: { causes: [{ reason: 'cluster-offline', field: 'connection' }] },
    })
    expect(answer.headers['retry-after']).toBeDefined()
  } finally {
    proxy?.kill('SIGCONT')
  }
  await system.stack.untilReady(30_000)
}, 60_000)

test(
  'every socket, file, child, timer, stream and subscription is back to the baseline',
  () => system.backToStart(),
  120_000,
)
