import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { startEmbeddedCluster } from '@agent/cluster'
import { startStack } from '@agent/stack'

import { createKubectl, type Ran } from './kubectl.ts'
import { steps } from './steps.ts'

/** Runs stock kubectl through the tunnel and straight to the API server, and compares; 0 when all is alike. */
export async function runDemo(): Promise<number> {
  const say = (text: string): void => void process.stdout.write(`${text}\n`)
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  const dir = await mkdtemp(join(tmpdir(), 'pipeops-demo-'))
  const failures: string[] = []
  try {
    await using cluster = await startEmbeddedCluster({ dir: join(dir, 'cluster'), progress: say })
    await using stack = await startStack({ dir: join(dir, 'stack'), cluster, progress: say })
    await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest))
    const ways = {
      tunnel: createKubectl(cluster.kubectl, stack.kubeconfig, dir, stop.signal),
      direct: createKubectl(cluster.kubectl, cluster.adminKubeconfig, dir, stop.signal),
    }
    say('\nStock kubectl: client → control plane → stream connection → proxy → API server\n')
    const rows: string[] = []
    for (const step of steps) {
      stop.signal.throwIfAborted()
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
  } catch (error) {
    say(stop.signal.aborted ? 'stopped' : (error as Error).message)
    return 1
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
  if (failures.length === 0) say('\nEvery answer is the same through the tunnel as directly.')
  else say(`\n${failures.length} answers differ or failed: ${failures.join(', ')}`)
  return failures.length === 0 ? 0 : 1
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
