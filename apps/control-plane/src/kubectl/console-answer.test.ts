import { expect, test } from 'vitest'

import { withoutCookie } from './client-headers.ts'
import { consoleAnswerHeaders } from './console-answer.ts'

const prefix = '/api/v1/clusters/agent/demo/agent/'
const answer = (...headers: string[]): string[] =>
  consoleAnswerHeaders(headers, { host: 'cp.example:8443', prefix })

test('the session of a browser, which is a token for every cluster, reaches no cluster', () => {
  expect(withoutCookie(['Accept', 'x', 'Cookie', 'pipeops_session=t', 'COOKIE', 'y'])).toEqual([
    'Accept',
    'x',
  ])
})

test.each([
  'Set-Cookie',
  'Service-Worker-Allowed',
  'Clear-Site-Data',
  'Access-Control-Allow-Origin',
  'Strict-Transport-Security',
  'Link',
])('a cluster cannot say %s for the control plane’s origin', (name) => {
  expect(answer(name, 'x', 'Content-Type', 'text/html')).not.toContain(name)
})

test.each(['https://evil.example/', '//evil.example', '/api/v1/clusters/agent/b/agent/ws', '../x'])(
  'a redirect to %s is not passed on, one to a page of its own is',
  (location) => {
    expect(answer('Location', location)).not.toContain(location)
    expect(answer('Location', 'dashboard')).toContain('dashboard')
  },
)

test('a page of one cluster can ask nothing of another’s', () => {
  const policy = answer().at(-1)
  expect(policy).toContain(`connect-src https://cp.example:8443${prefix} wss://cp.example:8443`)
  expect(policy).toMatch(/sandbox (?!.*allow-popups)/)
  const odd = consoleAnswerHeaders([], { host: 'a b; script-src *', prefix }).at(-1)
  expect(odd).toContain("connect-src 'none'")
  expect(odd).not.toContain('*')
})
