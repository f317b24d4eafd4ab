import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'

import { type Checks, mustExecute, openDoorOf } from '@agent/e2e'
import { eventually } from '@agent/testing'
import { resolveTool } from '@agent/toolbox'

import { serviceOf } from './project.ts'
import type { Up } from './up.ts'

const pod = ['-n', 'shop', 'web-0']

/** kubectl and the console, through the control plane, to the demo cluster. */
export async function checkDemo({ check }: Checks, up: Up): Promise<void> {
  const { kubeconfig } = up
  const program = await resolveTool('kubectl')
  const kubectl = (args: string[], input?: string): Promise<string> =>
    mustExecute(program, ['--kubeconfig', kubeconfig, ...args], {
      timeoutMs: 30_000,
      ...(input === undefined ? {} : { input }),
    })
  using door = await openDoorOf(kubeconfig)

  await check('kubectl gets nodes and pods, as the user who was authenticated', async () => {
    assert.equal((await kubectl(['get', 'nodes', '-o', 'name'])).trim().split('\n').length, 3)
    assert.match(await kubectl(['get', 'pods', '-A']), /shop +web-0 +1\/1 +Running/)
    assert.match(await kubectl(['auth', 'whoami', '-o', 'json']), /"username": "demo-admin"/)
  })
  await check('a watch sees a server-side apply', async () => {
    const apply = (name: string) =>
      kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(configMap(name)))
    await apply('before')
    const words = ['get', 'configmaps', '--watch', '--output', 'name']
    using watch = follow(program, ['--kubeconfig', kubeconfig, ...words])
    const shows = (text: string): Promise<boolean> =>
      eventually(() => watch.output().includes(text), { deadlineMs: 10_000, what: text })
    await shows('configmap/before')
    await apply('seen')
    await shows('configmap/seen')
  })
  await check('kubectl logs, exec and port-forward reach a pod', async () => {
    assert.match(await kubectl(['logs', ...pod, '--tail', '1']), /^log line 20$/m)
    const said = await kubectl(['exec', ...pod, '--', 'node', '--print', '6 * 7'])
    assert.equal(said, '42\n')
    const target = ['--kubeconfig', kubeconfig, 'port-forward', '-n', 'shop', 'pod/web-0', ':8080']
    using forward = follow(program, target)
    const port = await eventually(() => /127\.0\.0\.1:(\d+)/.exec(forward.output())?.[1], {
      deadlineMs: 10_000,
      what: 'a port that listens',
    })
    assert.equal(await (await fetch(`http://127.0.0.1:${port}`)).text(), 'hello from the pod\n')
  })
  await check('the console says ready, and its page opens, through the tunnel', async () => {
    await eventually(async () => (await door.fetch('agent/ready')).status === 200, {
      deadlineMs: 60_000,
      what: 'a console that is ready',
    })
    const page = await door.fetch('agent/dashboard')
    assert.equal(page.status, 200)
    assert.match(page.body, /<html/)
  })
  await check('at rest, no container of ours uses half of its memory', async () => {
    const { project } = up
    const rows: string[] = []
    for (const { Id, ...container } of await project.containers()) {
      const format = ['stats', '--no-stream', '--format', '{{.MemPerc}} {{.MemUsage}}', Id]
      const name = serviceOf({ Id, ...container })
      // A health check is a process of its own in there, and comes by every ten seconds.
      const lessThanHalf = async (): Promise<string | undefined> => {
        const [share = '', usage] = (await project.run(format)).trim().split(/(?<=%) /)
        // The demo's database keeps files in memory for as long as there is room.
        assert.ok(name === 'kubernetes' || parseFloat(share) < 50, share)
        return usage
      }
      const what = `${name} with less than half of its memory in use`
      const usage = await eventually(lessThanHalf, { deadlineMs: 60_000, what })
      rows.push(`${name.padEnd(14)} ${usage}`)
    }
    return `\n${rows.toSorted().join('\n')}`
  })
}

function configMap(name: string): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { by: 'kubectl' } }
}

/** A program that goes on, and what it has said so far. */
function follow(program: string, args: string[]) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')))
  }
  return {
    output: () => output,
    [Symbol.dispose]: () => void child.kill(),
  }
}
