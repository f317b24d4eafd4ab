import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

import { eventually } from '@agent/testing'
import { expect, test } from 'vitest'

import { openApiServer } from './api-server.ts'
import { callKube } from './call.ts'
import { mountSecret } from './mount.testing.ts'
import { quantity } from './usage.ts'

async function startServer() {
  const tokens: string[] = []
  const server = createServer((request, response) => {
    tokens.push(request.headers.authorization ?? 'none')
    response.setHeader('content-type', 'application/json').end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    tokens,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function settings(url: string, dir: string) {
  return {
    KUBERNETES_URL: url,
    KUBERNETES_TOKEN_FILE: join(dir, 'token'),
    KUBERNETES_CA_FILE: join(dir, 'ca.crt'),
  }
}

test('a token and a CA that rotate under load cost no request, and an empty token is never used', async () => {
  await using mount = await mountSecret({ token: 'one', 'ca.crt': 'CA 1' })
  await using server = await startServer()
  await using api = await openApiServer(settings(server.url, mount.dir))
  let isLoading = true
  let failures = 0
  const load = (async () => {
    while (isLoading) {
      const calls = Array.from({ length: 8 }, () => callKube(api, { path: '/' }))
      for (const call of await Promise.allSettled(calls)) if (call.status === 'rejected') failures++
    }
  })()
  for (const [token, ca] of [
    ['two', 'CA 2'],
    ['', 'CA 2'],
    ['three', 'CA 3'],
  ] as const) {
    await mount.swap({ token, 'ca.crt': ca })
    if (token === '') continue
    await eventually(() => server.tokens.at(-1) === `Bearer ${token}`, {
      deadlineMs: 5_000,
      what: `the token ${token}`,
    })
  }
  isLoading = false
  await load
  expect(failures).toBe(0)
  expect(new Set(server.tokens)).toEqual(new Set(['Bearer one', 'Bearer two', 'Bearer three']))
})

test('a missing file names its setting; a silent server is unreachable in time', async () => {
  await using mount = await mountSecret({ token: 'one' })
  await expect(openApiServer(settings('http://127.0.0.1:1', mount.dir))).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringContaining('KUBERNETES_CA_FILE'),
  })
  await using whole = await mountSecret({ token: 'one', 'ca.crt': 'x' })
  await using api = await openApiServer(settings('http://127.0.0.1:1', whole.dir))
  await expect(callKube(api, { path: '/' })).rejects.toMatchObject({
    code: 'api-server-unreachable',
  })
})

test('quantities of the metrics API are numbers', () => {
  const numbers = ['250m', '1', '1536Ki', '2Gi', '500n', '1k'].map((text) =>
    Number(quantity(text).toPrecision(12)),
  )
  expect(numbers).toEqual([0.25, 1, 1_572_864, 2_147_483_648, 5e-7, 1_000])
  expect(quantity('lots')).toBeNaN()
})
