import { readFile } from 'node:fs/promises'

import { eventually, type FaultProxy } from '@agent/testing'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'

import { type OpenWatch, startSystemOverFaults, type System } from './system.ts'

let system: System
let path: FaultProxy

beforeAll(async () => {
  ;({ system, path } = await startSystemOverFaults())
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

/** Works again: requests are answered, and every process says it is ready; both before one deadline. */
async function backWithin(deadlineMs: number): Promise<void> {
  const since = performance.now()
  await eventually(async () => (await system.call('tunnel', { path: '/version' })).status === 200, {
    deadlineMs,
    what: 'an answer through the tunnel',
  })
  await system.stack.untilReady(since + deadlineMs - performance.now())
  expect(performance.now() - since).toBeLessThan(deadlineMs)
}

/** Each of the processes says that it is not ready, all of them before one deadline. */
function notReadyWithin(names: string[], deadlineMs: number): Promise<unknown> {
  return Promise.all(
    names.map((name) =>
      eventually(async () => (await system.stack.readyz(name)).status === 503, {
        deadlineMs,
        what: `${name} saying that it is not ready`,
      }),
    ),
  )
}

/** A running watch still brings what happens now, not only what it had. */
async function stillBringsEvents(watch: OpenWatch): Promise<void> {
  const before = watch.events
  const now = `seen=${Date.now()}`
  await system.kubectl('direct', 'annotate', 'pod', '-n', 'shop', 'web-0', '--overwrite', now)
  await eventually(() => watch.events > before, { deadlineMs: 3_000, what: 'an event' })
  expect(watch.isOpen).toBe(true)
}

/** Stops a process, longer than every timeout there is for it (dead peer 9 s, bus 15 s), and lets it go on. */
async function whileStopped(
  pid: number,
  check: () => Promise<void>,
  stoppedMs = 22_000,
): Promise<void> {
  const since = performance.now()
  process.kill(pid, 'SIGSTOP')
  try {
    while (performance.now() - since < stoppedMs) await check()
    // Nobody restarted it: this is about one that hangs.
    expect(await readFile(`/proc/${pid}/stat`, 'utf8')).toContain(') T ')
  } finally {
    process.kill(pid, 'SIGCONT')
  }
}
async function endsWithin(ended: Promise<string>, deadlineMs: number): Promise<string> {
  let reason: string | undefined
  void ended.then((why) => (reason = why))
  return eventually(() => reason, { deadlineMs, what: 'the end of the stream' })
}

/** Kills a process; it is another one, and everything is back, before the deadline. */
async function killAndBackWithin(name: string, deadlineMs: number): Promise<void> {
  const before = pidOf(name)
  process.kill(before, 'SIGKILL')
  await Promise.all([
    backWithin(deadlineMs),
    eventually(() => pidOf(name) !== before, { deadlineMs, what: `another ${name}` }),
  ])
}

test('killing link cuts no running stream, and it is back in 15 s', async () => {
  await using watch = await system.watch()
  await killAndBackWithin('link', 15_000)
  await stillBringsEvents(watch)
}, 60_000)

test('killing the pod’s nats-server cuts no running stream, and all is ready again in 15 s', async () => {
  await using watch = await system.watch()
  await killAndBackWithin('nats', 15_000)
  await stillBringsEvents(watch)
  // Only a ticket over the bus lets a new proxy in.
  await killAndBackWithin('proxy-1', 15_000)
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
  await stillBringsEvents(watch)
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

test('a silent black hole is found in 11 s by both ends, and after it all is back in 30 s', async () => {
  await using watch = await system.watch()
  path.blackHole()
  await Promise.all([endsWithin(watch.ended, 11_000), notReadyWithin(['link', 'proxy-1'], 11_000)])
  path.heal()
  await backWithin(30_000)
}, 120_000)

test('a stopped link cuts no stream, hinders no request, and is back 15 s after it goes on', async () => {
  await using watch = await system.watch()
  await whileStopped(pidOf('link'), async () => {
    expect((await system.stack.readyz('link')).status).toBe(0)
    expect((await system.stack.readyz('proxy-1')).status).toBe(200)
    expect((await system.call('tunnel', { path: '/version' })).status).toBe(200)
    await stillBringsEvents(watch)
  })
  await backWithin(15_000)
  await stillBringsEvents(watch)
}, 90_000)

test('a stopped nats-server in the pod cuts no stream, hinders no request, and all is ready 15 s after it goes on', async () => {
  await using watch = await system.watch()
  const told = notReadyWithin(['link'], 20_000)
  told.catch(() => {})
  await whileStopped(pidOf('nats'), async () => {
    // The data path does not need the bus while it stands.
    expect((await system.stack.readyz('proxy-1')).status).toBe(200)
    expect((await system.call('tunnel', { path: '/version' })).status).toBe(200)
    await stillBringsEvents(watch)
  })
  await told
  await backWithin(15_000)
  await stillBringsEvents(watch)
  // Only a ticket over the bus lets a new proxy in.
  process.kill(pidOf('proxy-1'), 'SIGKILL')
  await endsWithin(watch.ended, 3_000)
  await backWithin(15_000)
}, 120_000)

test('a stopped nats-server of the control plane is told in 15 s, disturbs no request, and is back in 15 s', async () => {
  await using watch = await system.watch()
  const pid = await storePid()
  const told = notReadyWithin(['control-plane'], 15_000)
  told.catch(() => {})
  const check = async (): Promise<void> => {
    expect((await system.call('tunnel', { path: '/version' })).status).toBe(200)
    await stillBringsEvents(watch)
  }
  await whileStopped(pid, check, 16_000)
  await told
  await backWithin(15_000)
  await stillBringsEvents(watch)
}, 90_000)

test('a stopped proxy ends its streams in 11 s, and is back 15 s after it goes on', async () => {
  await using watch = await system.watch()
  const pid = pidOf('proxy-1')
  process.kill(pid, 'SIGSTOP')
  try {
    await endsWithin(watch.ended, 11_000)
    expect((await system.stack.readyz('proxy-1')).status).toBe(0)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  await backWithin(15_000)
}, 90_000)

test('a stopped control plane makes the agent say so in 11 s, and 30 s after it goes on all is back and old streams are over', async () => {
  await using watch = await system.watch()
  const pid = pidOf('control-plane')
  process.kill(pid, 'SIGSTOP')
  try {
    await notReadyWithin(['link', 'proxy-1'], 11_000)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  await Promise.all([endsWithin(watch.ended, 11_000), backWithin(30_000)])
}, 90_000)

test(
  'every socket, file, child, timer, stream and subscription is back to the baseline',
  () => system.backToStart(),
  120_000,
)
