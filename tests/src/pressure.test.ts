import { readFile } from 'node:fs/promises'
import { connect, type TLSSocket } from 'node:tls'

import { eventually } from '@agent/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { startSystem, type System } from './system.ts'

const objects = 40
const objectBytes = 900_000
const stalledClients = 12
/** What a process may grow by while clients stall: the bound for any body. */
const growthMiB = 64

let system: System
let ca: string

beforeAll(async () => {
  system = await startSystem()
  ca = await readFile(system.stack.caFile, 'utf8')
  const data = { filler: 'x'.repeat(objectBytes) }
  for (let index = 0; index < objects; index++) {
    const metadata = { name: `big-${index}` }
    const body = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data })
    const headers = { 'content-type': 'application/json' }
    const path = '/api/v1/namespaces/shop/configmaps'
    expect((await system.call('direct', { method: 'POST', path, headers, body })).status).toBe(201)
  }
}, 600_000)
afterAll(() => system?.[Symbol.asyncDispose]())

/** Asks for everything and reads nothing, until it is told to. */
async function stalledClient(): Promise<TLSSocket> {
  const { port } = new URL(system.stack.controlPlaneUrl)
  const socket = connect({ port: Number(port), host: '127.0.0.1', servername: 'localhost', ca })
  await new Promise((resolve) => socket.once('secureConnect', resolve))
  socket.pause()
  socket.write(
    `GET /api/v1/clusters/agent/${system.stack.clusterName}/proxy/api/v1/namespaces/shop/configmaps HTTP/1.1\r\n` +
      `Host: localhost\r\nAccept: application/json\r\nAuthorization: Bearer ${system.stack.userToken}\r\nConnection: close\r\n\r\n`,
  )
  return socket
}

async function residentMiB(name: string): Promise<number> {
  const pid = system.stack.processes.get(name)?.pid
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024
}

/** Open streams, as the control plane counts them. */
async function streams(): Promise<number> {
  const { streamConnections } = (await system.stack.ctl(
    'clusters',
    'show',
    system.stack.clusterName,
  )) as {
    streamConnections: { stats: { streams: number } }[]
  }
  return streamConnections.reduce((sum, { stats }) => sum + stats.streams, 0)
}

test('clients that stall on a large list make no process grow, stop nobody else, and lose nothing', async () => {
  // One whole list first: what any body costs is not what a stalled one costs.
  const whole = await system.call('tunnel', { path: '/api/v1/namespaces/shop/configmaps' })
  expect(whole.body.length).toBeGreaterThan(objects * objectBytes)
  const names = ['control-plane', 'proxy-1', 'link']
  const before = await Promise.all(names.map(residentMiB))
  const sockets = await Promise.all(Array.from({ length: stalledClients }, stalledClient))
  await eventually(async () => (await streams()) >= stalledClients, {
    deadlineMs: 10_000,
    what: 'all clients served',
  })

  for (let turn = 0; turn < 100; turn++) {
    expect((await system.call('tunnel', { path: '/version' })).status).toBe(200)
  }
  const after = await Promise.all(names.map(residentMiB))
  for (const [index, name] of names.entries()) {
    const grown = (after[index] as number) - (before[index] as number)
    expect(grown, `${name} grew by ${grown.toFixed(0)} MiB`).toBeLessThan(growthMiB)
  }

  const [survivor, ...others] = sockets as [TLSSocket, ...TLSSocket[]]
  for (const socket of others) socket.destroy()
  let received = 0
  survivor.on('data', (bytes) => (received += bytes.length))
  survivor.resume()
  await new Promise((resolve) => survivor.once('end', resolve))
  expect(received).toBeGreaterThanOrEqual(whole.body.length)
  await eventually(async () => (await streams()) <= 1, {
    deadlineMs: 10_000,
    what: 'the end of abandoned streams',
  })
}, 120_000)

test(
  'every socket, file, child, timer, stream and subscription is back to the baseline',
  () => system.backToStart(),
  120_000,
)
