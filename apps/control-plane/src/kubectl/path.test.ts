import { AgentError } from '@agent/contracts'
import { expect, test } from 'vitest'

import { bearerProtocolOf, withoutIdentity } from './client-headers.ts'
import { parseClusterPath } from './path.ts'

const base = '/api/v1/clusters/agent/demo/proxy'

test.each([
  [`${base}/api/v1/pods?watch=1`, '/api/v1/pods?watch=1'],
  [base, '/'],
  [`${base}/`, '/'],
  [`${base}?x=1`, '/?x=1'],
  [`${base}//evil/../%2e%2e`, '//evil/../%2e%2e'],
])('%s asks for %s, byte for byte', (url, target) => {
  expect(parseClusterPath(url)).toEqual({
    cluster: 'demo',
    kind: 'kube',
    prefix: `${base}/`,
    target,
  })
})

test('the console has a path of its own', () => {
  const prefix = '/api/v1/clusters/agent/demo/agent/'
  expect(parseClusterPath(`${prefix}ws?x=1`)).toEqual({
    cluster: 'demo',
    kind: 'console',
    prefix,
    target: '/ws?x=1',
  })
})

test.each([
  '/api/v1/clusters',
  '/api/v1/clusters/agent/ws',
  '/api/v1/clusters/agent/demo/proxying/x',
  '/',
])('%s is no kubectl path', (url) => expect(parseClusterPath(url)).toBeUndefined())

test('a path beyond 16 KiB is refused with its own code', () => {
  const error = parseClusterPath(`${base}/${'x'.repeat(16_384)}`)
  expect(error).toBeInstanceOf(AgentError)
  expect(error).toMatchObject({ code: 'path-too-long', status: 414 })
})

test('a token in the WebSocket subprotocols authenticates and goes no further', () => {
  const secret = Buffer.from('my-token').toString('base64url')
  const protocols = `v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.${secret}`
  expect(bearerProtocolOf(protocols)).toBe('Bearer my-token')
  const raw = [
    'Sec-WebSocket-Protocol',
    protocols,
    'authorization',
    'Bearer x',
    'IMPERSONATE_USER',
    'y',
  ]
  expect(withoutIdentity(raw)).toEqual(['Sec-WebSocket-Protocol', 'v5.channel.k8s.io'])
})
