import { readFile } from 'node:fs/promises'

import { eventually, type FaultProxy, startFaultProxy } from '@agent/testing'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'

import { startSystem, type System } from './system.ts'

let system: System
let path: FaultProxy

beforeAll(async () => {
  let started: Promise<FaultProxy> | undefined
  system = await startSystem({
    agentDials: async (port) => {
      started ??= startFaultProxy(port)
      path = await started
      return path.port
    },
  })
}, 600_000)
afterAll(async () => {
  await system?.[Symbol.asyncDispose]()
  await path?.[Symbol.asyncDispose]()
})
afterEach(async () => {
  await system.stack.untilReady(60_000)
})

/** The pid of a process of the stack, which must be running. */
function pidOf(name: string): number {
  const pid = system.stack.processes.get(name)?.pid
  if (pid === undefined) throw new Error(`${name} does not run`)
  return pid
}

async function storePid(): Promise<number> {
  const pid = pidOf('control-plane')
  return Number((await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ')[0])
}

/** When the youngest of the agent's connections was made, in ms since 1970. */
async function youngestConnection(): Promise<number> {
  const { connectedSince, streamConnections } = (await system.stack.ctl(
    'clusters',
    'show',
    system.stack.clusterName,
  )) as { connectedSince: string; streamConnections: { since: string }[] }
  return Math.max(
    ...[connectedSince, ...streamConnections.map(({ since }) => since)].map(Date.parse),
  )
}

/** Works again: requests are answered, and every process says it is ready. */
async function backWithin(deadlineMs: number): Promise<void> {
  await eventually(async () => (await system.call('tunnel', { path: '/version' })).status === 200, {
    deadlineMs,
    what: 'an answer through the tunnel',
  })
  await system.stack.untilReady(deadlineMs)
}

async function endsWithin(ended: Promise<string>, deadlineMs: number): Promise<string> {
  let reason: string | undefined
  void ended.then((why) => (reason = why))
  return (await eventually(() => reason, { deadlineMs, what: 'the end of the stream' })) as string
}

test('killing link cuts no running stream, and it is back in 15 s', async () => {
  await using watch = await system.watch()
  process.kill(pidOf('link'), 'SIGKILL')
  await eventually(() => system.stack.processes.get('link')?.restarts, {
    deadlineMs: 5_000,
    what: 'a restart',
  })
  await backWithin(15_000)
  expect(watch.isOpen).toBe(true)
}, 60_000)

test('killing the pod’s nats-server cuts no running stream, and all is ready again in 15 s', async () => {
  await using watch = await system.watch()
  process.kill(pidOf('nats'), 'SIGKILL')
  await backWithin(15_000)
  expect(watch.isOpen).toBe(true)
}, 60_000)

test('killing the control plane’s nats-server disturbs no request, and it is back in 15 s', async () => {
  await using watch = await system.watch()
  const before = await storePid()
  process.kill(before, 'SIGKILL')
  expect((await system.call('tunnel', { path: '/version' })).status).toBe(200)
  await eventually(async () => (await storePid()) !== before, {
    deadlineMs: 15_000,
    what: 'a new nats-server',
  })
  await eventually(
    () => system.stack.ctl('tokens', 'create', '--user', 'u').catch(() => undefined),
    {
      deadlineMs: 15_000,
      what: 'a change of state',
    },
  )
  expect(watch.isOpen).toBe(true)
}, 60_000)

test('killing the proxy ends its streams, new requests wait for it, and it is back in 15 s', async () => {
  await using watch = await system.watch()
  process.kill(pidOf('proxy-1'), 'SIGKILL')
  await endsWithin(watch.ended, 3_000)
  expect((await system.call('tunnel', { path: '/version' })).status).toBe(200)
  await backWithin(15_000)
}, 60_000)

test('killing the control plane ends streams, and all is back in 30 s with its state and one store', async () => {
  await using watch = await system.watch()
  const orphan = await storePid()
  process.kill(pidOf('control-plane'), 'SIGKILL')
  await endsWithin(watch.ended, 3_000)
  await backWithin(30_000)
  // Read from /proc: where nobody reaps orphans, a killed one keeps its pid but not its command line.
  expect(await readFile(`/proc/${orphan}/cmdline`, 'utf8').catch(() => '')).toBe('')
}, 90_000)

test('sockets cut by RST end their streams at once, and after a good time all is back in 5 s', async () => {
  await eventually(async () => Date.now() - (await youngestConnection()) > 5_000, {
    deadlineMs: 15_000,
    what: 'connections that lived well',
  })
  await using watch = await system.watch()
  path.cut()
  await endsWithin(watch.ended, 3_000)
  await backWithin(5_000)
}, 60_000)

test('a silent black hole is found in 10 s by both ends, and after it all is back in 30 s', async () => {
  await using watch = await system.watch()
  path.blackHole()
  await endsWithin(watch.ended, 11_000)
  for (const name of ['link', 'proxy-1']) {
    await eventually(async () => (await system.stack.readyz(name)).status === 503, {
      deadlineMs: 11_000,
      what: `${name} saying that it is not ready`,
    })
  }
  path.heal()
  await backWithin(30_000)
}, 120_000)

test.each(['link', 'nats'])(
  'a stopped %s cuts no stream, and all is ready again once it goes on',
  async (name) => {
    await using watch = await system.watch()
    const pid = pidOf(name)
    process.kill(pid, 'SIGSTOP')
    try {
      expect((await system.call('tunnel', { path: '/version' })).status).toBe(200)
      expect(watch.isOpen).toBe(true)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await backWithin(30_000)
  },
  90_000,
)

test('a stopped nats-server of the control plane is told in 15 s, disturbs no request, and is back', async () => {
  await using watch = await system.watch()
  const pid = await storePid()
  process.kill(pid, 'SIGSTOP')
  try {
    await eventually(async () => (await system.stack.readyz('control-plane')).status === 503, {
      deadlineMs: 15_000,
      what: 'the control plane saying that its store is away',
    })
    expect((await system.call('tunnel', { path: '/version' })).status).toBe(200)
    expect(watch.isOpen).toBe(true)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  await backWithin(30_000)
}, 90_000)

test('a stopped proxy ends its streams in 11 s, and requests meanwhile say that the agent is away', async () => {
  await using watch = await system.watch()
  const pid = pidOf('proxy-1')
  process.kill(pid, 'SIGSTOP')
  try {
    await endsWithin(watch.ended, 11_000)
    expect((await system.stack.readyz('proxy-1')).status).toBe(0)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  await backWithin(30_000)
}, 90_000)

test('a stopped control plane makes the agent say so in 11 s, and all is back once it goes on', async () => {
  const pid = pidOf('control-plane')
  process.kill(pid, 'SIGSTOP')
  try {
    for (const name of ['link', 'proxy-1']) {
      await eventually(async () => (await system.stack.readyz(name)).status === 503, {
        deadlineMs: 11_000,
        what: `${name} saying that it is not ready`,
      })
    }
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  await backWithin(30_000)
}, 90_000)

test(
  'every socket, file, child, timer, stream and subscription is back to the baseline',
  () => system.backTo(),
  90_000,
)
