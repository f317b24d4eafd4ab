import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

import { untilStopped } from '@agent/toolbox'

import { type Link, openContender } from './contenders.ts'
import { createGenerators } from './generator.ts'
import type { InsideSpec } from './namespace.ts'
import { startNginx } from './origin.ts'
import { runWorkloads } from './run.ts'
import { median } from './stats.ts'
import { far } from './workloads/far.ts'

const run = promisify(execFile)
const device = 'bench0'
const local = '10.99.0.1'
/** Whoever dials the peer reaches this machine's own listeners, with the delay in between. */
const link: Link = { host: '0.0.0.0', peer: '10.99.0.2', isFar: true }
const roundTripMs = 100
/** Room for what is on its way on a fast link of 100 ms; the usual limits hold less than 50 MB/s need. */
const tcpBuffers = '4096 131072 33554432'

/** Runs the far workload, in a network namespace that is ours alone; reads its spec from stdin, writes samples to stdout. */
export async function measureInside(): Promise<number> {
  const progress = (message: string): void => void process.stderr.write(`${message}\n`)
  const lines = createInterface({ input: process.stdin })
  const { value } = await lines[Symbol.asyncIterator]().next()
  const spec = JSON.parse(value as string) as InsideSpec
  const gone = new Promise<void>((resolve) => lines.once('close', resolve))
  return untilStopped((signal) => measureFar(spec, progress, signal), { progress, gone })
}

async function measureFar(
  spec: InsideSpec,
  progress: (message: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const startGenerator = createGenerators(spec.generator, signal)
  const options = { ...spec, startGenerator, progress, signal }
  await using scope = new AsyncDisposableStack()
  await run('ip', ['link', 'set', 'lo', 'up'])
  for (const name of ['tcp_rmem', 'tcp_wmem']) {
    await writeFile(`/proc/sys/net/ipv4/${name}`, tcpBuffers)
  }
  const delayMs = roundTripMs / 2
  const delay = scope.use(await startGenerator({ mode: 'delay', device, delayMs }))
  await run('ip', ['address', 'add', `${local}/30`, 'dev', device])
  await run('ip', ['link', 'set', device, 'txqueuelen', '20000', 'up'])
  const origin = scope.use(await startNginx({ ...options, host: link.host }))
  origin.processes.push({ name: 'delay line', pid: delay.pid, side: 'generator' })

  const measuredMs = await roundTrip(origin.port)
  progress(`the link’s round trip takes ${measuredMs.toFixed(1)} ms`)
  if (Math.abs(measuredMs - roundTripMs) > roundTripMs / 10) {
    throw new Error(`the link should take ${roundTripMs} ms: the machine is too busy to measure`)
  }
  await runWorkloads([far], origin, {
    ...options,
    open: (name) => openContender(name, { ...options, origin, link }),
    onSamples(_workload, samples) {
      for (const sample of samples) process.stdout.write(`${JSON.stringify(sample)}\n`)
    },
  })
}

/** Opening a TCP connection takes exactly one round trip. */
async function roundTrip(port: number): Promise<number> {
  const times: number[] = []
  for (let turn = 0; turn < 5; turn++) {
    const startedAt = performance.now()
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ host: link.peer, port, timeout: 5_000 })
      socket.once('connect', () => {
        socket.destroy()
        resolve()
      })
      socket.once('timeout', () => socket.destroy(new Error('the delayed link carries nothing')))
      socket.once('error', reject)
    })
    times.push(performance.now() - startedAt)
  }
  return median(times)
}
