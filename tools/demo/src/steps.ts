import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import type { Kubectl, Ran } from './kubectl.ts'

/** One thing a person does with kubectl. */
export type Step = { title: string; run(kubectl: Kubectl, way: 'tunnel' | 'direct'): Promise<Ran> }

const waitMs = 15_000

function plain(line: string): Step {
  return { title: line, run: (kubectl) => kubectl.run(...line.split(' ')) }
}

/** The main job, step by step. */
export const steps: Step[] = [
  plain('get nodes'),
  plain('get pods -A'),
  { title: 'get pods -n shop -w (until a new pod appears)', run: watchPod },
  plain('apply --server-side -f manifest.json'),
  plain('logs -n shop web-0 --tail=3'),
  plain('exec -n shop web-0 -- cat hello.txt'),
  { title: 'port-forward -n shop pod/web-0 (and an HTTP request)', run: portForward },
  { title: 'cp shop/web-0:hello.txt copied.txt', run: copy },
]

async function watchPod(kubectl: Kubectl, way: string): Promise<Ran> {
  const name = `newcomer-${way}`
  const startedAt = performance.now()
  const { child, output } = kubectl.start(
    'get',
    'pods',
    '-n',
    'shop',
    '-w',
    '--watch-only',
    '--no-headers',
    '-o',
    'name',
  )
  const overrides = '{"spec":{"nodeName":"node-1"}}'
  await delay(300)
  await kubectl.run(
    'run',
    name,
    '-n',
    'shop',
    '--image=example.invalid/new',
    `--overrides=${overrides}`,
  )
  const isSeen = await until(() => output().includes(name))
  const durationMs = performance.now() - startedAt
  child.kill()
  await kubectl.run('delete', 'pod', name, '-n', 'shop', '--wait=true')
  return { output: isSeen ? `pod/${name}` : output(), code: isSeen ? 0 : 1, durationMs }
}

async function portForward(kubectl: Kubectl): Promise<Ran> {
  const startedAt = performance.now()
  const { child, output } = kubectl.start('port-forward', '-n', 'shop', 'pod/web-0', ':8080')
  const port = await until(() => /127\.0\.0\.1:(\d+)/.exec(output())?.[1])
  const answer =
    port === undefined
      ? output()
      : await fetch(`http://127.0.0.1:${port}/`).then((r) => r.text(), String)
  const durationMs = performance.now() - startedAt
  child.kill()
  return { output: answer, code: answer === 'hello from the pod\n' ? 0 : 1, durationMs }
}

async function copy(kubectl: Kubectl): Promise<Ran> {
  const ran = await kubectl.run('cp', 'shop/web-0:hello.txt', 'copied.txt')
  const content = await readFile(join(kubectl.dir, 'copied.txt'), 'utf8').catch(String)
  return { ...ran, output: `${ran.output}${content}` }
}

async function until<T>(ask: () => T | undefined | false): Promise<T | undefined> {
  const deadline = performance.now() + waitMs
  while (performance.now() < deadline) {
    const answer = ask()
    if (answer !== undefined && answer !== false) return answer
    await delay(20)
  }
  return undefined
}
