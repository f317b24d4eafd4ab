import { expect, test } from 'vitest'

import { redactSettings, redactText } from './redact.ts'

test('settings keep paths and lose secrets', () => {
  expect(
    redactSettings({
      PIPEOPS_TOKEN: 'abc',
      PIPEOPS_TOKEN_FILE: '/run/token',
      PIPEOPS_API_URL: 'https://user:pass@cp.example/x',
    }),
  ).toEqual({
    PIPEOPS_TOKEN: '[redacted]',
    PIPEOPS_TOKEN_FILE: '/run/token',
    PIPEOPS_API_URL: 'https://[redacted]@cp.example/x',
  })
})

test.each([
  ['a known secret', 'x hunter22 y'],
  ['a bearer token', 'authorization: Bearer hunter22.abc/def=='],
  ['a JWT', 'token eyJhbGciOi.eyJzdWIiOiJodW50.hunter22'],
  ['a private key', '-----BEGIN EC PRIVATE KEY-----\nhunter22\n-----END EC PRIVATE KEY-----'],
  ['a password in a URL', 'http://me:hunter22@proxy:3128/'],
])('%s does not survive', (_name, text) => {
  expect(redactText(text, ['hunter22'])).not.toContain('hunter22')
  expect(redactText(text, [])).toSatisfy(
    (out: string) => _name === 'a known secret' || !out.includes('hunter22'),
  )
})
