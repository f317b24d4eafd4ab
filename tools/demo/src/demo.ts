import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { createPidFile, startEmbeddedCluster } from '@agent/cluster'
import { startStack } from '@agent/stack'
import { takeOwnerLock, untilStopped } from '@agent/toolbox'

import { createKubectl, type Ran } from './kubectl.ts'
import { steps } from './steps.ts'

const runDir = process.env['PIPEOPS_RUN_DIR'] ?? join(import.meta.dirname, '../../../.run')
const say = (text: string): void => void process.stdout.write(`${text}\n`)

/** Runs stock kubectl through the tunnel and straight to the API server, and compares; 0 when all is alike. */
export async function runDemo(): Promise<number> {
  const failures: string[] = []
  const code = await untilStopped((signal) => compareAll(failures, signal), { progress: say })
  if (code !== 0) return code
  if (failures.length === 0) say('\nEvery answer is the same through the tunnel as directly.')
  else say(`\n${failures.length} answers differ or failed: ${failures.join(', ')}`)
  return failures.length === 0 ? 0 : 1
}

async function compareAll(failures: string[], signal: AbortSignal): Promise<void> {
  await using scope = new AsyncDisposableStack()
  const dir = await takeDir(scope)
  const options = { progress: say, signal }
  const cluster = scope.use(await startEmbeddedCluster({ dir: join(dir, 'cluster'), ...options }))
  const stack = scope.use(await startStack({ dir: join(dir, 'stack'), cluster, ...options }))
  await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest))
  const ways = {
    tunnel: createKubectl(cluster.kubectl, stack.kubeconfig, dir, signal),
    direct: createKubectl(cluster.kubectl, cluster.adminKubeconfig, dir, signal),
  }
  say('\nStock kubectl: client → control plane → stream connection → proxy → API server\n')
  const rows: string[] = []
  for (const step of steps) {
    signal.throwIfAborted()
    const tunnel = await step.run(ways.tunnel, 'tunnel')
    const direct = await step.run(ways.direct, 'direct')
    const isSame =
      normalize(tunnel.output) === normalize(direct.output) && tunnel.code === direct.code
    const isGood = isSame && tunnel.code === 0
    if (!isGood) failures.push(step.title)
    say(`$ kubectl ${step.title}`)
    say(excerpt(isSame ? tunnel.output : `tunnel:\n${tunnel.output}\ndirect:\n${direct.output}`))
    const verdict = isGood ? 'same answer' : 'DIFFERENT'
    rows.push(`${step.title.padEnd(58)} ${ms(tunnel)} ${ms(direct)}   ${verdict}`)
  }
  say(
    `\n${'command'.padEnd(58)} ${'tunnel'.padStart(9)} ${'direct'.padStart(9)}\n${rows.join('\n')}`,
  )
}

/** An empty folder for one demo at a time; what one that was killed left behind is ended first. */
async function takeDir(scope: AsyncDisposableStack): Promise<string> {
  const dir = join(runDir, 'demo')
  await mkdir(runDir, { recursive: true, mode: 0o700 })
  const lock = await takeOwnerLock(`${dir}.pid`)
  if (!lock.isOurs) throw new Error(`a demo runs already, as process ${lock.owner}`)
  scope.defer(() => lock.release())
  for (const part of ['cluster', 'stack'])
    await createPidFile(join(dir, part, 'pids')).endForgotten()
  const empty = (): Promise<void> => rm(dir, { recursive: true, force: true })
  await empty()
  scope.defer(empty)
  await mkdir(dir, { mode: 0o700 })
  return dir
}

const manifest = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'demo', namespace: 'shop' },
  data: { greeting: 'hello' },
}

/** What differs between any two runs: ages, ports and times. */
function normalize(text: string): string {
  return text.replaceAll(/\b\d+(s|m|h)(\d+s)?\b/g, '*').replaceAll(/(tunnel|direct)/g, '*')
}

function excerpt(text: string): string {
  const lines = text.trimEnd().split('\n')
  const shown = lines.slice(0, 6).map((line) => `    ${line}`)
  return [...shown, ...(lines.length > 6 ? [`    … ${lines.length - 6} more lines`] : [])].join(
    '\n',
  )
}

function ms({ durationMs }: Ran): string {
  return `${Math.round(durationMs)} ms`.padStart(9)
}
