import { expect, test } from 'vitest'

import { clearSessionCookie, isSameOrigin, readSessionCookie, setSessionCookie } from './cookie.ts'
import { loginPage } from './login-page.ts'

const cookie = { name: 'session', path: '/a/', isSecure: true }

test.each(['plain', 'with; odd = characters', '100%'])(
  'the token %s comes back as it was',
  (token) => {
    const set = setSessionCookie(cookie, token)
    expect(set).toMatch(/; Path=\/a\/; HttpOnly; SameSite=Strict; .*Secure$/)
    expect(readSessionCookie(`x=1; ${set.split(';', 1)[0]}; y=2`, 'session')).toBe(token)
  },
)

test('a path cannot add attributes', () => {
  const path = '/a;Domain=evil.example/'
  for (const set of [
    setSessionCookie({ ...cookie, path }, 'x'),
    clearSessionCookie({ ...cookie, path }),
  ]) {
    expect(set).toContain('; Path=/a%3BDomain=evil.example/; HttpOnly')
  }
})

test.each([undefined, '', 'sessions=1', 'session=', 'session=%zz'])(
  '%s holds no token',
  (header) => {
    expect(readSessionCookie(header, 'session')).toBeUndefined()
  },
)

test('only a page of the same origin may use a cookie', () => {
  expect(isSameOrigin('https://a.example:8443', 'a.example:8443')).toBe(true)
  expect(isSameOrigin(undefined, 'a.example')).toBe(true)
  for (const origin of ['https://b.example', 'https://a.example.b.example', 'null', '']) {
    expect(isSameOrigin(origin, 'a.example')).toBe(false)
  }
})

test('what is shown on the sign-in page cannot become markup', () => {
  const page = loginPage({ action: '"><script>', what: '<b>', problem: '<img src=x onerror=y>' })
  expect(page).not.toMatch(/<script|<b>|<img/)
})
