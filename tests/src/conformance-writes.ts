import type { Case } from './conformance-cases.ts'

const table = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
const json = { 'content-type': 'application/json' }
const core = '/api/v1/namespaces/conformance'

function configMap(name: string, data: object = { a: '1' }, batch = 'none'): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, labels: { case: 'yes', batch } },
    data,
  })
}

function patch(name: string, type: string, body: string, query = ''): Case {
  const headers = { 'content-type': type }
  return { name, method: 'PATCH', path: `${core}/configmaps/{twin}${query}`, headers, body }
}

const apply = 'application/apply-patch+yaml'
/** What creates, changes and deletes, in this order. */
export const writes: Case[] = [
  {
    name: 'a dry-run create',
    method: 'POST',
    path: `${core}/configmaps?dryRun=All`,
    headers: json,
    body: configMap('{twin}'),
  },
  {
    name: 'a create',
    method: 'POST',
    path: `${core}/configmaps`,
    headers: json,
    body: configMap('{twin}'),
  },
  {
    name: 'a create that conflicts',
    method: 'POST',
    path: `${core}/configmaps`,
    headers: json,
    body: configMap('{twin}'),
  },
  { name: 'a get of it', path: `${core}/configmaps/{twin}` },
  { name: 'a table of it', path: `${core}/configmaps/{twin}`, headers: { accept: table } },
  patch('a merge patch', 'application/merge-patch+json', '{"data":{"b":"2"}}'),
  patch(
    'a JSON patch',
    'application/json-patch+json',
    '[{"op":"add","path":"/data/c","value":"3"}]',
  ),
  patch(
    'a JSON patch that fails',
    'application/json-patch+json',
    '[{"op":"test","path":"/data/a","value":"9"}]',
  ),
  patch(
    'a strategic patch',
    'application/strategic-merge-patch+json',
    '{"metadata":{"labels":{"d":"4"}}}',
  ),
  patch('a patch of unknown type', 'application/unknown', '{}'),
  patch(
    'a server-side apply',
    apply,
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{twin}"}\ndata: {e: "5"}\n',
    '?fieldManager=conformance',
  ),
  patch(
    'an apply that conflicts',
    apply,
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{twin}"}\ndata: {e: "6"}\n',
    '?fieldManager=someone-else',
  ),
  patch(
    'an apply that is forced',
    apply,
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{twin}"}\ndata: {e: "6"}\n',
    '?fieldManager=someone-else&force=true',
  ),
  {
    name: 'a replace',
    method: 'PUT',
    path: `${core}/configmaps/{twin}`,
    headers: json,
    body: configMap('{twin}', { f: '7' }),
  },
  {
    name: 'a ConfigMap of nearly one megabyte',
    method: 'PUT',
    path: `${core}/configmaps/{twin}`,
    headers: json,
    body: configMap('{twin}', { big: 'x'.repeat(1_000_000) }),
  },
  { name: 'a get of the megabyte', path: `${core}/configmaps/{twin}` },
  {
    name: 'the megabyte in gzip',
    path: `${core}/configmaps/{twin}`,
    headers: { 'accept-encoding': 'gzip' },
  },
  {
    name: 'a body that is too large',
    method: 'PUT',
    path: `${core}/configmaps/{twin}`,
    headers: json,
    body: configMap('{twin}', { big: 'x'.repeat(4_000_000) }),
  },
  {
    name: 'a body that is no JSON',
    method: 'POST',
    path: `${core}/configmaps`,
    headers: json,
    body: '{nope',
  },
  {
    name: 'a body without type',
    method: 'POST',
    path: `${core}/configmaps`,
    body: configMap('{twin}-2'),
  },
  {
    name: 'an invalid object',
    method: 'POST',
    path: `${core}/configmaps`,
    headers: json,
    body: configMap('Not_A_Name'),
  },
  { name: 'an unsupported method', method: 'PUT', path: '/api/v1/pods', headers: json, body: '{}' },
  { name: 'OPTIONS', method: 'OPTIONS', path: '/api/v1/pods' },
  { name: 'HEAD', method: 'HEAD', path: '/api/v1/namespaces/shop' },
  {
    name: 'a review of access',
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    headers: json,
    body: JSON.stringify({
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { verb: 'get', resource: 'pods' } },
    }),
  },
  { name: 'a delete', method: 'DELETE', path: `${core}/configmaps/{twin}` },
  { name: 'a delete of nothing', method: 'DELETE', path: `${core}/configmaps/{twin}` },
  {
    name: 'a delete of a collection of nothing',
    method: 'DELETE',
    path: `${core}/configmaps?labelSelector=case%3Dno-such`,
    holds: /"items":\[\]/,
  },
  ...['first', 'second'].map((which) => ({
    name: `a create of the ${which} of two`,
    method: 'POST',
    path: `${core}/configmaps`,
    headers: json,
    body: configMap(`{twin}-${which}`, { which }, '{twin}'),
  })),
  {
    name: 'a list of the two',
    path: `${core}/configmaps?labelSelector=batch%3D{twin}`,
    holds: /-first".*-second"/s,
  },
  {
    name: 'a dry-run delete of a collection',
    method: 'DELETE',
    path: `${core}/configmaps?labelSelector=batch%3D{twin}&dryRun=All`,
    holds: /-first".*-second"/s,
  },
  {
    name: 'a delete of a collection of two',
    method: 'DELETE',
    path: `${core}/configmaps?labelSelector=batch%3D{twin}`,
    holds: /-first".*-second"/s,
  },
  {
    name: 'a list of what is left of the two',
    path: `${core}/configmaps?labelSelector=batch%3D{twin}`,
    holds: /"items":\[\]/,
  },
]
