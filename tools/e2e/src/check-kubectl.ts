import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { eventually } from '@agent/testing'

import type { Checks } from './checks.ts'
import { names, restricted } from './names.ts'
import { sha256, type Tunnel } from './tunnel.ts'
import { webApp } from './workload.ts'
import type { World } from './world.ts'

const fileBytes = 8 << 20
const shop = ['-n', names.shop]
const web = [...shop, 'deployment/web']

/** Stock kubectl through the tunnel, against real containers; false where nothing gets through it at all. */
export async function checkKubectl(
  { check }: Checks,
  world: World,
  { kubectl, tryKubectl, kubeconfig }: Tunnel,
): Promise<boolean> {
  const isThrough = await check('kubectl apply and rollout status through the tunnel', async () => {
    const objects = [restricted(names.shop), ...webApp('web', names.shop)]
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
    await kubectl(['apply', '-f', '-'], { input })
    await kubectl(['rollout', 'status', ...web, '--timeout=60s'])
  })
  if (!isThrough) return false
  await check('kubectl get, as the user who was authenticated', async () => {
    assert.match(await kubectl(['get', 'nodes', '-o', 'name']), /^node\/whole-node$/m)
    const whoami = await kubectl(['auth', 'whoami', '-o', 'json'])
    assert.match(whoami, new RegExp(`"username": "${names.user}"`))
  })
  await check('kubectl logs', async () => {
    assert.equal(await kubectl(['logs', ...web]), 'the web server starts\n')
  })
  await check('kubectl exec: input and output byte for byte, and the exit code', async () => {
    const input = randomBytes(1 << 20)
    const said = await kubectl(['exec', '-i', ...web, '--', 'sha256sum'], { input })
    assert.equal(said.split(' ')[0], sha256(input))
    const { code } = await tryKubectl(['exec', ...web, '--', 'sh', '-c', 'exit 7'])
    assert.equal(code, 7)
  })
  await check('kubectl cp, in and out again', async () => {
    const source = join(world.dir, 'cp-in')
    const copy = join(world.dir, 'cp-out')
    const data = randomBytes(fileBytes)
    await writeFile(source, data)
    const pods = await kubectl(['get', 'pods', ...shop, '-l', 'app=web', '-o', 'name'])
    const pod = pods.trim().replace('pod/', 'shop/')
    await kubectl(['cp', source, `${pod}:/data/copy`])
    await kubectl(['cp', `${pod}:/data/copy`, copy])
    assert.equal(sha256(await readFile(copy)), sha256(data))
    return `${fileBytes >> 20} MiB`
  })
  await check('kubectl port-forward', () => portForward(world.programs.kubectl, kubeconfig))
  return true
}

async function portForward(program: string, kubeconfig: string): Promise<void> {
  const args = ['--kubeconfig', kubeconfig, 'port-forward', ...shop, 'service/web', ':80']
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  try {
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')))
    }
    const port = await eventually(
      async () => {
        if (child.exitCode !== null) throw new Error(output)
        return /127\.0\.0\.1:(\d+)/.exec(output)?.[1]
      },
      { deadlineMs: 20_000, what: 'port-forward listens' },
    )
    for (let request = 0; request < 20; request++) {
      const answer = await fetch(`http://127.0.0.1:${port}/`)
      assert.equal(await answer.text(), 'hello from a real container\n')
    }
  } finally {
    child.kill()
  }
}
