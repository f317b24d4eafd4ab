import type { KubeOpen, ServiceOpen } from '@agent/contracts'
import { expect, test } from 'vitest'

import { authorize } from './authorize.ts'

const policy = { services: new Set(['monitoring/grafana:3000', 'shop/web:80', 'shop/web:443']) }

function kube(target: string): KubeOpen {
  return {
    kind: 'kube',
    id: '1',
    method: 'GET',
    target,
    headers: [],
    user: { name: 'u', groups: [] },
  }
}

test.each([
  '/api/v1/nodes/node-1/proxy/pods',
  '/api/v1/nodes/node-1/proxy',
  '/api/v1/nodes/node-1/proxy/exec/ns/pod/c?command=id',
  '/api/v1/nodes/node-1:10250/proxy/run',
  '/api/v1/%6eodes/node-1/%70roxy/x',
  '/api/v1%2Fnodes%2Fnode-1%2Fproxy',
  '//api//v1//nodes//node-1//proxy',
  '/api/v1/namespaces/x/../../nodes/node-1/proxy',
  '/api/v1/./nodes/node-1/./proxy',
  '/api/v1/namespaces/%2e%2e/%2E%2E/v1/nodes/node-1/proxy',
  '/api/v1/watch/nodes/node-1/proxy',
  '/api/v1/proxy/nodes/node-1',
  '/apis/any/v1/nodes/node-1/proxy',
  '/api/v1/nodes/node-1/proxy/?a=/../b',
])('nodes/proxy is refused in any spelling: %s', (target) => {
  expect(authorize(kube(target), policy)).toMatchObject({ allow: false, code: 'forbidden' })
})

test.each([
  '/api/v1/namespaces/shop/services/db/proxy/',
  '/api/v1/namespaces/shop/services/web:8080/proxy/',
  '/api/v1/namespaces/other/services/web/proxy',
  '/api/v1/namespaces/shop/services/https:db:443/proxy/x',
  '/api/v1/proxy/namespaces/shop/services/db',
  '/api/v1/namespaces/shop/services/web/proxy/',
  '/api/v1/namespaces/shop/services/http:web/proxy/',
  '/api/v1/namespaces/shop/services/https:web:/proxy/a',
])('a Service that is not on the list by name and port is refused: %s', (target) => {
  expect(authorize(kube(target), policy)).toMatchObject({
    allow: false,
    code: 'service-not-allowed',
  })
})

test.each([
  '/api/v1/namespaces/shop/services/web:80/proxy/a?b',
  '/api/v1/namespaces/shop/services/http:web:80/proxy/a',
  '/api/v1/namespaces/shop/services/https:web:443/proxy/a',
  '/api/v1/namespaces/monitoring/services/grafana:3000/proxy/',
  '/api/v1/nodes/proxy',
  '/api/v1/nodes/node-1',
  '/api/v1/nodes/node-1/status',
  '/api/v1/namespaces/proxy/pods',
  '/api/v1/namespaces/nodes/pods/a/proxy',
  '/api/v1/namespaces/shop/pods/web-0/exec?command=proxy',
  '/apis/apps/v1/namespaces/shop/deployments',
  '/version',
  '/',
])('an ordinary request passes: %s', (target) => {
  expect(authorize(kube(target), policy)).toEqual({ allow: true })
})

test('a path that is no valid percent-encoding is refused as such', () => {
  for (const target of ['/api/v1/%zz', '/api/v1/%', '/api/v1/pods%2']) {
    expect(authorize(kube(target), policy)).toMatchObject({ allow: false, code: 'bad-request' })
  }
})

test('a service stream needs its Service on the list, with its port', () => {
  const open = (port: number): ServiceOpen => ({
    ...kube('/'),
    kind: 'service',
    namespace: 'monitoring',
    service: 'grafana',
    port,
    scheme: 'http',
  })
  expect(authorize(open(3_000), policy)).toEqual({ allow: true })
  expect(authorize(open(3_001), policy)).toMatchObject({ code: 'service-not-allowed' })
})

test('below a base path nothing climbs out of it, in any spelling', () => {
  const below = { ...policy, hasBasePath: true }
  for (const target of ['/../other/api', '/api/%2e%2e/%2E%2e/other', '/api/v1/..']) {
    expect(authorize(kube(target), below)).toMatchObject({ allow: false, code: 'bad-request' })
  }
  expect(authorize(kube('/api/v1/pods'), below).allow).toBe(true)
})
