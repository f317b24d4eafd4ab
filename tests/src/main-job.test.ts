import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'

import { eventually } from '@agent/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { startSystem, type System } from './system.ts'

let system: System

beforeAll(async () => {
  system = await startSystem({ proxies: 2 })
}, 600_000)
afterAll(() => system?.[Symbol.asyncDispose]())

test.each([
  [['get', 'nodes', '-o', 'name']],
  [['get', 'pods', '-A', '-o', 'wide', '--no-headers']],
  [['get', 'pods', '-n', 'shop', '-o', 'yaml']],
  [['describe', 'pod', '-n', 'shop', 'web-0']],
  [['logs', '-n', 'shop', 'web-0']],
  [['logs', '-n', 'shop', '-l', 'app=web', '--tail', '5', '--timestamps']],
  [['exec', '-n', 'shop', 'web-0', '--', 'cat', 'hello.txt']],
  [['api-resources', '--sort-by', 'name']],
  [['explain', 'pod.spec.containers']],
  [['version', '-o', 'json']],
])('stock kubectl prints the same through the tunnel: %j', async (args) => {
  const direct = await system.kubectl('direct', ...args)
  const tunnel = await system.kubectl('tunnel', ...args)
  expect(withoutAges(tunnel)).toBe(withoutAges(direct))
})

const withoutAges = (text: string): string => text.replaceAll(/\b\d+(s|m|h)(\d+s)?\b/g, '*')

test('exec runs over WebSocket and over SPDY', async () => {
  for (const websockets of ['true', 'false']) {
    const { stdout, code } = await runKubectl(
      ['exec', '-n', 'shop', 'web-0', '--', 'cat', 'hello.txt'],
      {
        KUBECTL_REMOTE_COMMAND_WEBSOCKETS: websockets,
      },
    )
    expect({ stdout, code }).toEqual({ stdout: 'hello from the pod\n', code: 0 })
  }
})

test('exec carries 20 MB of output without losing a byte', async () => {
  const count = 20 * 2 ** 20
  const { stdout, code } = await runKubectl(
    ['exec', '-n', 'shop', 'web-0', '--', 'head', '-c', String(count), '/dev/zero'],
    {},
  )
  expect(code).toBe(0)
  expect(stdout).toHaveLength(count)
})

test.each(['true', 'false'])(
  'port-forward brings an HTTP answer (WebSockets: %s)',
  async (websockets) => {
    const port = await freePort()
    const child = spawn(
      system.cluster.kubectl,
      [
        '--kubeconfig',
        system.stack.kubeconfig,
        'port-forward',
        '-n',
        'shop',
        'pod/web-0',
        `${port}:8080`,
      ],
      { env: { ...process.env, KUBECTL_PORT_FORWARD_WEBSOCKETS: websockets }, stdio: 'ignore' },
    )
    try {
      const answer = await eventually(
        () => fetch(`http://127.0.0.1:${port}/`).then((response) => response.text()),
        {
          deadlineMs: 10_000,
          what: 'an answer through the port-forward',
        },
      )
      expect(answer).toBe('hello from the pod\n')
    } finally {
      child.kill()
    }
  },
)

test('cp brings a file out of a pod', async () => {
  const target = join(system.dir, 'copied.txt')
  await system.kubectl('tunnel', 'cp', 'shop/web-0:hello.txt', target)
  expect(await readFile(target, 'utf8')).toBe('hello from the pod\n')
})

test('server-side apply, a watch that sees it, and delete', async () => {
  await using watch = await system.watch()
  const before = watch.events
  await system.kubectl(
    'tunnel',
    'run',
    'extra',
    '-n',
    'shop',
    '--image=example.invalid/x',
    '--overrides={"spec":{"nodeName":"node-1"}}',
  )
  await eventually(() => watch.events > before, {
    deadlineMs: 5_000,
    what: 'an event of the new pod',
  })
  await system.kubectl(
    'tunnel',
    'wait',
    '-n',
    'shop',
    '--for=condition=Ready',
    'pod/extra',
    '--timeout=10s',
  )
  await system.kubectl('tunnel', 'delete', 'pod', '-n', 'shop', 'extra', '--wait=true')
})

test('the user at the API server is the token’s user, whatever the request says', async () => {
  const headers = {
    'Impersonate-User': 'system:admin',
    impersonate_group: 'system:masters',
    'IMPERSONATE-EXTRA-scopes': 'all',
    connection: 'keep-alive, x-secret',
    'x-secret': 'dropped',
  }
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }
  const { status, body } = await system.call('tunnel', {
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(review),
  })
  expect(status).toBe(201)
  const { userInfo } = (JSON.parse(body.toString()) as { status: { userInfo: object } }).status
  expect(userInfo).toEqual({
    username: 'demo-admin',
    groups: ['pipeops:admins', 'system:authenticated'],
  })
})

test('the cluster shows its nodes, pods and connections at the control plane', async () => {
  const shown = await eventually(
    async () => {
      const { clusters } = (await system.stack.ctl('clusters', 'list')) as {
        clusters: [
          {
            connected: boolean
            streamConnections: object[]
            lastHeartbeat: { content: { metadata: object } }
          },
        ]
      }
      return clusters[0].streamConnections.length === 2 ? clusters[0] : undefined
    },
    { deadlineMs: 10_000, what: 'two stream connections' },
  )
  expect(shown).toMatchObject({
    connected: true,
    lastHeartbeat: { content: { metadata: { k8s_nodes: 3, k8s_pods: 9 } } },
  })
})

test('200 requests, execs and abandoned watches leave no socket, file or child behind', async () => {
  const watches = await Promise.all(Array.from({ length: 50 }, () => system.watch()))
  await Promise.all(
    Array.from({ length: 150 }, (_, index) =>
      system.call('tunnel', { path: index % 3 === 0 ? '/version' : '/api/v1/pods' }),
    ),
  )
  for (let turn = 0; turn < 3; turn++)
    await system.kubectl('tunnel', 'exec', '-n', 'shop', 'web-0', '--', 'true')
  for (const watch of watches) await watch[Symbol.asyncDispose]()
  await system.backToStart()
  for (const { name } of system.stack.processes.values()) {
    if (!name.startsWith('proxy')) continue
    const { status } = await system.stack.readyz(name)
    expect(status).toBe(200)
  }
}, 120_000)

function runKubectl(
  args: string[],
  env: Record<string, string>,
): Promise<{ stdout: string; code: number | null }> {
  return new Promise((resolve) => {
    const child = spawn(
      system.cluster.kubectl,
      ['--kubeconfig', system.stack.kubeconfig, ...args],
      {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.once('close', (code) =>
      resolve({ stdout: Buffer.concat(chunks).toString('latin1'), code }),
    )
  })
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

test(
  'every socket, file, child, timer, stream and subscription is back to the baseline',
  () => system.backToStart(),
  120_000,
)
