import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { openApiServer } from './api-server.ts'
import { callKube } from './call.ts'
import { mountSecret } from './mount.testing.ts'

test('a server that takes connections and never speaks is waited for as long as was said, not longer', async () => {
  await using scope = new AsyncDisposableStack()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => void sockets.add(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  scope.defer(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const mount = scope.use(await mountSecret({ token: 'one', 'ca.crt': '' }))
  const api = scope.use(
    await openApiServer({
      KUBERNETES_URL: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
      KUBERNETES_TOKEN_FILE: join(mount.dir, 'token'),
      KUBERNETES_CA_FILE: join(mount.dir, 'ca.crt'),
    }),
  )
  const call = (more: { timeoutMs: number; signal?: AbortSignal }): Promise<unknown> =>
    callKube(api, { path: '/readyz', ...more }).catch((error: unknown) => error)

  const startedAt = performance.now()
  expect(await call({ timeoutMs: 200 })).toMatchObject({ code: 'api-server-unreachable' })
  await call({ timeoutMs: 60_000, signal: AbortSignal.timeout(200) })
  await call({ timeoutMs: 60_000, signal: AbortSignal.abort() })
  expect(performance.now() - startedAt).toBeLessThan(3_000)
})
