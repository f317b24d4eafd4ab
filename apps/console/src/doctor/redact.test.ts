import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { redactSettings, redactText, secretsOf } from './redact.ts'

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

test('a secret does not survive in another spelling, behind a shorter one, or as a line of its file', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'redact-'))
  try {
    const file = join(dir, 'token')
    await writeFile(file, 'first-line-1\nsecond/line"2\n')
    const secrets = await secretsOf({
      PIPEOPS_TOKEN: 'hunter22',
      OTHER_TOKEN: 'hunter22-and-more',
      PIPEOPS_TOKEN_FILE: file,
      GONE_TOKEN_FILE: join(dir, 'nothing'),
      PIPEOPS_API_URL: 'https://cp.example',
    })
    const text = JSON.stringify([
      'hunter22-and-more',
      'first-line-1',
      'second/line"2',
      encodeURIComponent('second/line"2'),
      Buffer.from('hunter22').toString('base64'),
      'https://cp.example',
    ])
    const out = redactText(text, secrets)
    expect(out).not.toMatch(/hunter|and-more|first-line|second|aHVudGVy/)
    expect(out).toContain('https://cp.example')
  } finally {
    await rm(dir, { recursive: true })
  }
})
