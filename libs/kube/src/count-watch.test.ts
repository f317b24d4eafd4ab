import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { eventually } from '@agent/testing'
import { expect, test } from 'vitest'

import { openApiServer } from './api-server.ts'
import { watchCount } from './count-watch.ts'
import { mountSecret } from './mount.testing.ts'

const timing = { firstWaitMs: 100, longestWaitMs: 800, steadyMs: 300 }

/** An API server with two pods, whose watches are answered by the test. */
async function startCounting(onWatch: (response: ServerResponse) => void) {
  await using opening = new AsyncDisposableStack()
  const seen = { lists: 0, watches: 0, onWatch }
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json')
    if (request.url?.includes('watch=1')) {
      seen.watches++
      return seen.onWatch(response)
    }
    seen.lists++
    const items = [{ metadata: { uid: 'a' } }, { metadata: { uid: 'b' } }]
    response.end(JSON.stringify({ metadata: { resourceVersion: '5' }, items }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  opening.defer(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const mount = opening.use(await mountSecret({ token: 'one', 'ca.crt': 'x' }))
  const api = opening.use(
    await openApiServer({
      KUBERNETES_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      KUBERNETES_TOKEN_FILE: `${mount.dir}/token`,
      KUBERNETES_CA_FILE: `${mount.dir}/ca.crt`,
    }),
  )
  const abort = new AbortController()
  const watch = watchCount(api, '/api/v1/pods', abort.signal, () => 0, timing)
  opening.defer(async () => {
    abort.abort()
    await watch.done
  })
  const scope = opening.move()
  return { seen, watch, [Symbol.asyncDispose]: () => scope.disposeAsync() }
}

const event = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`

test.each<[string, (response: ServerResponse) => void, string]>([
  ['forbidden', (response) => response.writeHead(403).end('{}'), 'rbac-missing'],
  ['failing', (response) => response.writeHead(500).end('{}'), 'api-server-unreachable'],
  ['busy', (response) => response.writeHead(429).end('{}'), 'api-server-unreachable'],
  ['over at once', (response) => response.end(), 'api-server-unreachable'],
  [
    'ended by an ERROR event',
    (response) => response.end(event('ERROR', { code: 500 })),
    'api-server-unreachable',
  ],
  [
    'of a version that is always gone',
    (response) => response.end(event('ERROR', { code: 410 })),
    'api-server-unreachable',
  ],
])(
  'a watch that is %s is tried ever less often, and the reason is told',
  async (_name, answer, code) => {
    await using counting = await startCounting(answer)
    const { seen, watch } = counting
    const startedAt = performance.now()
    await eventually(() => seen.watches >= 4, { deadlineMs: 10_000, what: 'four rounds' })
    // 100, 200 and 400 ms lie between four rounds.
    expect(performance.now() - startedAt).toBeGreaterThan(650)
    expect(seen.lists).toBeLessThanOrEqual(5)
    expect(watch.problem).toMatchObject({ code })
    expect(watch.count).toBe(2)
  },
)

test('a watch that holds counts what comes and goes, and clears the reason', async () => {
  await using counting = await startCounting((response) => response.writeHead(500).end('{}'))
  const { seen, watch } = counting
  await eventually(() => watch.problem !== undefined, { deadlineMs: 5_000, what: 'the reason' })
  seen.onWatch = (response) =>
    void response.write(
      event('ADDED', { metadata: { uid: 'c' } }) +
        event('ADDED', { metadata: { uid: 'd' } }) +
        event('DELETED', { metadata: { uid: 'a' } }) +
        event('BOOKMARK', { metadata: { resourceVersion: '9' } }),
    )
  await eventually(() => watch.problem === undefined, { deadlineMs: 5_000, what: 'no reason' })
  expect(watch.count).toBe(3)
})
