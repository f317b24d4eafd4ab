import { expect, test } from 'vitest'

import { requestHeaders, responseHeaders } from './headers.ts'

const identity = {
  authorization: 'Bearer agent',
  impersonate: { name: 'alice', groups: ['dev', 'ops'] },
}
const ours = [
  ...['Authorization', 'Bearer agent', 'Impersonate-User', 'alice'],
  ...['Impersonate-Group', 'dev', 'Impersonate-Group', 'ops'],
]

test.each([
  'Impersonate-User',
  'impersonate-group',
  'IMPERSONATE-UID',
  'Impersonate-Extra-Scopes',
  'Impersonate_User',
  'impersonate_extra-x',
  ' Impersonate-User',
  'Impersonate-User ',
  'Authorization',
  'AUTHORIZATION',
  'Proxy-Authorization',
  'Connection',
  'Keep-Alive',
  'TE',
  'Trailer',
  'Transfer-Encoding',
  'Upgrade',
  'Host',
  'Expect',
])('a client’s %s never reaches the API server', (name) => {
  const headers = ['Accept', 'a/b', name, 'evil', name, 'twice']
  expect(requestHeaders(headers, identity)).toEqual(['Accept', 'a/b', ...ours])
})

test('headers that Connection names stay on their hop, and it cannot name ours away', () => {
  const headers = [
    'Connection',
    'keep-alive, X-Hop , impersonate-user',
    'x-hop',
    '1',
    'X-Other',
    '2',
  ]
  expect(requestHeaders(headers, identity)).toEqual(['X-Other', '2', ...ours])
})

test('everything else passes as it came: order, case, duplicates and odd bytes', () => {
  const headers = ['X-B', '1', 'x-a', '2', 'X-B', '3', 'X-Odd', 'caf\u00e9']
  expect(requestHeaders(headers, { authorization: undefined, impersonate: undefined })).toEqual(
    headers,
  )
})

test('an answer loses its hop headers, an upgrade’s answer keeps them', () => {
  const raw = ['Connection', 'Upgrade', 'Upgrade', 'SPDY/3.1', 'X-Stream-Protocol-Version', 'v4']
  expect(responseHeaders(raw, true)).toEqual(raw)
  expect(responseHeaders(raw, false)).toEqual(['X-Stream-Protocol-Version', 'v4'])
})
