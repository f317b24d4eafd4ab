import { execFile } from 'node:child_process'
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { resolveTool } from '@agent/toolbox'
import { expect, test } from 'vitest'

import { charts, openHelm } from './helm.ts'
import { parseRendered } from './objects.ts'

const run = promisify(execFile)
const agent = { pipeops: { token: 'x' }, cluster: { name: 'prod' } }
const script = (name: string): Promise<string> =>
  readFile(join(charts.agent, 'files', name), 'utf8')

/** As the containers run it. */
async function runScript(name: string, args: string[], env: Record<string, string> = {}) {
  const command = ['--input-type=module', '--eval', await script(name), ...args]
  return run(process.execPath, command, { env, timeout: 10_000 }).then(
    ({ stdout }) => ({ stdout, code: 0 }),
    (error: { stdout: string; code: number }) => ({ stdout: error.stdout, code: error.code }),
  )
}

async function natsAccepts(file: string): Promise<string> {
  const program = await resolveTool('nats-server')
  const { stdout, stderr } = await run(program, ['-t', '-c', file], { timeout: 10_000 })
  return stdout + stderr
}

test('nats-server accepts the configuration in the Secret', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'chart-'))
  const rendered = parseRendered(await (await openHelm()).template('agent', { agent }))
  const { stringData } = rendered.get('Secret', 'pipeops-pipeops-agent-bus')
  const file = join(dir.path, 'nats.conf')
  await writeFile(file, stringData?.['nats.conf'] as string)
  expect(await natsAccepts(file)).toContain('is valid')
})

test('a token made in the pod is another each time, and nats-server takes it', async () => {
  await using one = await mkdtempDisposable(join(tmpdir(), 'chart-'))
  await using two = await mkdtempDisposable(join(tmpdir(), 'chart-'))
  for (const { path } of [one, two])
    expect(await runScript('bus-token.mjs', [path])).toMatchObject({ code: 0 })
  const token = await readFile(join(one.path, 'token'), 'utf8')
  expect(token).toMatch(/^[-\w]{40}$/)
  expect(await readFile(join(two.path, 'token'), 'utf8')).not.toBe(token)
  expect(await readFile(join(one.path, 'nats.conf'), 'utf8')).toContain(`token: "${token}"`)
  expect(await natsAccepts(join(one.path, 'nats.conf'))).toContain('is valid')
})

test('helm test passes when all are ready, else it names who is not, and why', async () => {
  await using server = createServer((request, response) => {
    const isReady = request.url === '/link'
    response.writeHead(isReady ? 200 : 503).end(isReady ? 'ok' : 'no canary came back')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const ask = (targets: object) =>
    runScript('helm-test.mjs', [], { TARGETS: JSON.stringify(targets), WAIT_SECONDS: '0' })

  expect(await ask({ link: `${url}/link` })).toStrictEqual({
    code: 0,
    stdout: 'ready     link: ok\n',
  })
  const { code, stdout } = await ask({
    link: `${url}/link`,
    proxy: `${url}/proxy`,
    console: 'http://127.0.0.1:1/ready',
  })
  expect(code).toBe(1)
  expect(stdout).toContain('not ready proxy: no canary came back')
  expect(stdout).toContain('not ready console: http://127.0.0.1:1/ready does not answer (')
})
