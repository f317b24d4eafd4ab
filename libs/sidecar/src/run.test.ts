import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

import { eventually } from '@agent/testing'
import { expect, test } from 'vitest'

const program = fileURLToPath(import.meta.resolve('./run.testing.ts'))

function startSample(environment: Record<string, string>) {
  const child = spawn(process.execPath, [program], {
    env: { PATH: process.env['PATH'], HEALTH_HOST: '127.0.0.1', HEALTH_PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  return {
    child,
    exited,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

async function textOf(stream: ChildProcess['stdout']): Promise<string> {
  let text = ''
  for await (const chunk of stream ?? []) text += chunk
  return text
}

/** Reads up to the line that names the health port, and nothing after it. */
async function healthPort(child: ChildProcess): Promise<number> {
  const [chunk] = (await once(child.stdout as NodeJS.EventEmitter, 'data')) as [Buffer]
  child.stdout?.pause()
  return (JSON.parse(String(chunk).split('\n', 1)[0] ?? '') as { healthPort: number }).healthPort
}

test('bad settings of both kinds end the process with code 2, all named', async () => {
  await using sample = startSample({ PIPEOPS_LOG_LEVEL: 'loud', SAMPLE_IS_LOUD: 'perhaps' })
  const said = await textOf(sample.child.stderr)
  expect(await sample.exited).toEqual([2, null])
  for (const name of ['PIPEOPS_LOG_LEVEL', 'SAMPLE_NAME', 'SAMPLE_IS_LOUD']) {
    expect(said).toContain(`${name}: `)
  }
})

test('a health port that is taken is a configuration problem', async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await using sample = startSample({ SAMPLE_NAME: 'x', HEALTH_PORT: String(port) })
  const said = await textOf(sample.child.stdout)
  expect(await sample.exited).toEqual([2, null])
  expect(said).toContain(`HEALTH_PORT: cannot listen on 127.0.0.1:${port} (EADDRINUSE)`)
  server.close()
})

test('SIGTERM ends the process with code 0, and its last lines are written', async () => {
  await using sample = startSample({ SAMPLE_NAME: 'x' })
  const port = await healthPort(sample.child)
  await eventually(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok, {
    deadlineMs: 5_000,
    what: 'readiness',
  })
  sample.child.kill('SIGTERM')
  const said = await textOf(sample.child.stdout)
  expect(await sample.exited).toEqual([0, null])
  expect(said).toContain('"msg":"stopped"')
})

test('a stdout that was closed ends nothing', async () => {
  await using sample = startSample({ SAMPLE_NAME: 'x', SAMPLE_IS_LOUD: 'true' })
  const port = await healthPort(sample.child)
  sample.child.stdout?.destroy()
  const startedAt = performance.now()
  await eventually(
    async () =>
      (await fetch(`http://127.0.0.1:${port}/readyz`)).ok && performance.now() - startedAt > 500,
    { deadlineMs: 5_000, what: 'readiness after half a second' },
  )
  sample.child.kill('SIGTERM')
  expect(await sample.exited).toEqual([0, null])
})

test('a stdout that nobody reads costs lines, not memory, and does not keep the process from stopping', async () => {
  await using sample = startSample({ SAMPLE_NAME: 'x', SAMPLE_IS_LOUD: 'true' })
  const url = `http://127.0.0.1:${await healthPort(sample.child)}/metrics`
  const metric = async (name: string): Promise<number> =>
    Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await (await fetch(url)).text())?.[1])
  // 20,000 lines are about 6 MB.
  await eventually(async () => (await metric('pipeops_log_dropped_lines_total')) > 20_000, {
    deadlineMs: 10_000,
    what: 'dropped lines',
  })
  const stoppedAt = performance.now()
  sample.child.kill('SIGTERM')
  await sample.exited
  expect(performance.now() - stoppedAt).toBeLessThan(5_000)
})
