import { writes } from './conformance-writes.ts'
import type { CallOptions } from './system.ts'

/**
 * One call that is made twice, direct and through the tunnel. `{twin}` is another name on each way. Both answers must
 * match `holds`, where two that are alike could mean that nothing was tried.
 */
export type Case = CallOptions & { name: string; holds?: RegExp }

/** Lists that are read page by page, each way following the tokens that it was given. */
export const paged = [
  '/api/v1/pods',
  '/api/v1/namespaces',
  '/apis/rbac.authorization.k8s.io/v1/clusterroles?labelSelector=kubernetes.io%2Fbootstrapping',
]

const table = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
const partial = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io'
const protobuf = 'application/vnd.kubernetes.protobuf'

const lists = [
  '/api/v1/nodes',
  '/api/v1/pods',
  '/api/v1/services',
  '/api/v1/namespaces',
  '/api/v1/namespaces/shop/pods',
  '/api/v1/namespaces/payments/services',
  '/api/v1/serviceaccounts',
  '/apis/rbac.authorization.k8s.io/v1/clusterroles',
  '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
  '/apis/apps/v1/deployments',
]

const reads: Case[] = lists.flatMap((path) => [
  { name: `list ${path}`, path },
  { name: `page of ${path}`, path: `${path}?limit=500` },
  { name: `table of ${path}`, path, headers: { accept: table } },
  { name: `protobuf of ${path}`, path, headers: { accept: protobuf } },
  { name: `metadata of ${path}`, path, headers: { accept: partial } },
  { name: `gzip of ${path}`, path, headers: { 'accept-encoding': 'gzip' } },
  { name: `any version of ${path}`, path: `${path}?resourceVersion=0` },
  { name: `labels of ${path}`, path: `${path}?labelSelector=app%3Dweb` },
])

const gets: Case[] = [
  '/version',
  '/api',
  '/apis',
  '/api/v1',
  '/apis/apps/v1',
  '/apis/rbac.authorization.k8s.io',
  '/openapi/v3',
  '/healthz',
  '/readyz?verbose',
  '/livez/ping',
  '/.well-known/openid-configuration',
  '/api/v1/nodes/node-1',
  '/api/v1/namespaces/shop/pods/web-0',
  '/api/v1/namespaces/shop/pods/web-0/status',
  '/api/v1/namespaces/shop/pods/web-0/log',
  '/api/v1/namespaces/shop/pods/web-0/log?tailLines=3&timestamps=true',
  '/api/v1/namespaces/shop/services/web',
  '/api/v1/namespaces/shop',
  '/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin',
  '/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1',
  '/api/v1/pods?fieldSelector=spec.nodeName=node-1&labelSelector=app%20in%20(web,cart)',
].map((path) => ({ name: `get ${path}`, path }))

const odd: Case[] = [
  ['a missing object', '/api/v1/namespaces/shop/pods/none'],
  ['a missing resource', '/api/v1/unicorns'],
  ['a missing group', '/apis/unicorn.example/v1'],
  ['a path that ends in a slash', '/api/v1/namespaces/'],
  ['two slashes', '/api/v1//pods'],
  ['a leading double slash', '//api/v1/pods'],
  ['an encoded letter', '/api/v1/%70ods'],
  ['an encoded slash', '/api/v1%2Fnamespaces/shop'],
  ['encoded dots', '/api/v1/namespaces/%2e%2e/pods'],
  ['bare dots', '/api/v1/namespaces/../pods'],
  ['a space in a name', '/api/v1/namespaces/a%20b'],
  ['unicode in a name', '/api/v1/namespaces/%C3%BC'],
  ['bytes that are not UTF-8', '/api/v1/namespaces/%ff'],
  ['a colon and an at', '/api/v1/namespaces/a:b@c'],
  ['a plus in a query', '/api/v1/pods?labelSelector=a+b'],
  ['an empty query', '/api/v1/namespaces?'],
  ['a repeated query key', '/api/v1/namespaces?limit=1&limit=2'],
  ['a query with a question mark', '/api/v1/namespaces?labelSelector=a?b'],
  ['an unordered query', '/api/v1/namespaces?z=1&limit=500&a=2'],
  ['a bad selector', '/api/v1/pods?labelSelector=%3D%3D'],
  ['a bad limit', '/api/v1/pods?limit=many'],
  ['a bad continue token', '/api/v1/pods?limit=1&continue=nonsense'],
  ['a version that is gone', '/api/v1/pods?watch=1&resourceVersion=1&timeoutSeconds=1'],
  [
    'a long query',
    `/api/v1/pods?labelSelector=${Array.from({ length: 300 }, (_, i) => `key${i}`).join('%2C')}`,
  ],
].map(([name, path]) => ({ name: name as string, path: path as string }))

/** They end by themselves; the pods of `shop` do not change meanwhile. */
const watches: Case[] = [
  {
    name: 'a watch that may have bookmarks, from the start',
    path: '/api/v1/namespaces/shop/pods?watch=1&allowWatchBookmarks=true&timeoutSeconds=2',
    holds: /"type":"ADDED".*"name":"web-0"/s,
  },
  {
    name: 'a watch that says with a bookmark where its first events end',
    path: '/api/v1/namespaces/shop/pods?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=2',
    holds: /"type":"ADDED".*"type":"BOOKMARK".*initial-events-end/s,
  },
  {
    name: 'a watch as a table',
    path: '/api/v1/namespaces/shop/pods?watch=1&timeoutSeconds=1',
    headers: { accept: table },
    holds: /"type":"ADDED".*"kind":"Table"/s,
  },
  {
    name: 'a watch in protobuf',
    path: '/api/v1/namespaces/shop/pods?watch=1&timeoutSeconds=1',
    headers: { accept: `${protobuf};stream=watch` },
    holds: /ADDED.*web-0/s,
  },
  {
    name: 'a watch for nobody',
    path: '/api/v1/namespaces/shop/pods?watch=1&labelSelector=app%3Dnone&timeoutSeconds=1',
  },
]

/** All calls, in the order in which they are made: later ones see what earlier ones did. */
export const cases: Case[] = [...reads, ...gets, ...odd, ...watches, ...writes]
