import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'

import { type Checks, mustExecute, until } from '@agent/e2e'
import { resolveTool } from '@agent/toolbox'

import { createDoor } from './door.ts'
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
  using door = await createDoor(kubeconfig)

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
    await until('the watch runs', async () => watch.output().includes('configmap/before'), 10_000)
    await apply('seen')
    await until('the watch sees it', async () => watch.output().includes('configmap/seen'), 10_000)
  })
  await check('kubectl logs, exec and port-forward reach a pod', async () => {
    assert.match(await kubectl(['logs', ...pod, '--tail', '1']), /^log line 20$/m)
    const said = await kubectl(['exec', ...pod, '--', 'node', '--print', '6 * 7'])
    assert.equal(said, '42\n')
    const target = ['--kubeconfig', kubeconfig, 'port-forward', '-n', 'shop', 'pod/web-0', ':8080']
    using forward = follow(program, target)
    const port = await until(
      'port-forward listens',
      async () => /127\.0\.0\.1:(\d+)/.exec(forward.output())?.[1],
      10_000,
    )
    assert.equal(await (await fetch(`http://127.0.0.1:${port}`)).text(), 'hello from the pod\n')
  })
  await check('the console says ready, and its page opens, through the tunnel', async () => {
    await until(
      'the console is ready',
      async () => (await door.fetch('agent/ready')).status === 200,
    )
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
      await until(`${name} takes less than half`, async () => {
        const [share = '', usage] = (await project.run(format)).trim().split(/(?<=%) /)
        // The demo's database keeps files in memory for as long as there is room.
        assert.ok(name === 'kubernetes' || parseFloat(share) < 50, share)
        rows.push(`${name.padEnd(14)} ${usage}`)
        return true
      })
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
