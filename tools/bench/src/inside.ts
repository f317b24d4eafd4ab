import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

import type { Link } from './contenders.ts'
import { createGenerators } from './generator.ts'
import type { InsideSpec } from './namespace.ts'
import { startNginx } from './origin.ts'
import { runWorkloads } from './run.ts'
import { untilStopped } from './stopping.ts'
import { far } from './workloads/far.ts'

const run = promisify(execFile)
const device = 'bench0'
const local = '10.99.0.1'
/** Whoever dials the peer reaches this machine's own listeners, with the delay in between. */
const peer = '10.99.0.2'
const oneWayMs = 50
/** Room for what is on its way on a fast link of 100 ms; many systems default to less than 50 MB/s needs. */
const tcpBuffers = '4096 131072 33554432'

const lines = createInterface({ input: process.stdin })
const { value } = await lines[Symbol.asyncIterator]().next()
const spec = JSON.parse(value as string) as InsideSpec
const progress = (message: string): void => void process.stderr.write(`${message}\n`)
process.exitCode = await untilStopped(measureFar, {
  progress,
  gone: new Promise<void>((resolve) => lines.once('close', resolve)),
})
process.exit()

async function measureFar(signal: AbortSignal): Promise<void> {
  const startGenerator = createGenerators(spec.generator, signal)
  await using scope = new AsyncDisposableStack()
  await run('ip', ['link', 'set', 'lo', 'up'])
  for (const name of ['tcp_rmem', 'tcp_wmem']) {
    await writeFile(`/proc/sys/net/ipv4/${name}`, tcpBuffers)
  }
  scope.use(await startGenerator({ mode: 'delay', device, delayMs: oneWayMs }))
  await run('ip', ['address', 'add', `${local}/30`, 'dev', device])
  await run('ip', ['link', 'set', device, 'txqueuelen', '20000', 'up'])
  const link: Link = { host: '0.0.0.0', peer }
  const origin = scope.use(await startNginx({ ...spec, startGenerator, host: link.host, progress }))
  await runWorkloads([far], origin, {
    ...spec,
    startGenerator,
    signal,
    progress,
    link,
    onSamples(_workload, samples) {
      for (const sample of samples) process.stdout.write(`${JSON.stringify(sample)}\n`)
    },
  })
}
