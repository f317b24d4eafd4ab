import { consoleHeaders } from '@agent/contracts'
import { expect, test } from 'vitest'

import { consoleHeadersFor } from './console-address.ts'

const secret = 'the-secret'

function sent(headers: string[]): string[] {
  const request = {
    kind: 'console' as const,
    id: '1',
    method: 'GET',
    target: '/',
    headers,
    user: { name: 'alice', groups: ['a,b'] },
  }
  return consoleHeadersFor(request, { url: 'http://127.0.0.1:1', secret })
}

const ours = [
  consoleHeaders.secret,
  secret,
  consoleHeaders.user,
  'alice',
  consoleHeaders.groups,
  'a%2Cb',
]

test('what is asserted is what the control plane says, and follows what the client asked for', () => {
  expect(sent(['Accept', 'text/html'])).toEqual(['Accept', 'text/html', ...ours])
})

test.each([
  ...Object.values(consoleHeaders),
  'X-Pipeops-User',
  'x_pipeops_user',
  'X-PIPEOPS_Console-Secret',
  'x-pipeops-groups ',
  'Cookie',
  'Authorization',
  'Impersonate-User',
])('a client cannot say %s', (name) => {
  expect(sent([name, 'mallory'])).toEqual(ours)
})
