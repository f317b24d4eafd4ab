import { AgentError, consoleHeaders } from '@agent/contracts'
import { expect, test } from 'vitest'

import { createGate, type RequestHeaders } from './gate.ts'
import { keepAdmitted } from './keep-admitted.ts'

const secret = 'the-secret-of-the-tunnel'
const own = 'the-own-token'

/** A gate before a cluster that knows the token `alice` and lets in whoever is called alice. */
function start(options: { isOpen?: boolean } = {}) {
  const asked: unknown[] = []
  const bus = {
    request: async (_contract: unknown, question: { asker: Asker; verb: string }) => {
      asked.push(question)
      const { asker } = question
      const user = 'user' in asker ? asker.user : { name: asker.token, groups: [] }
      if (user.name === 'unknown') return { user: null, allowed: false, reason: 'not known' }
      return { user, allowed: user.name === 'alice', reason: 'no right' }
    },
  }
  const gate = createGate({
    bus: bus as never,
    isOpen: options.isOpen ?? false,
    token: async () => own,
    secret,
  })
  const admit = (headers: RequestHeaders, method = 'GET'): Promise<string> =>
    gate.admit({ host: 'console:8080', ...headers }, method).then(
      ({ name }) => name,
      (error: AgentError) => error.code,
    )
  return { admit, asked }
}
type Asker = { token: string } | { user: { name: string; groups: string[] } }

const tunnel = (user: string, groups = ''): RequestHeaders => ({
  [consoleHeaders.secret]: secret,
  [consoleHeaders.user]: user,
  [consoleHeaders.groups]: groups,
})

test('a token is believed as the header and as the cookie, and nothing else is', async () => {
  const { admit } = start()
  expect(await admit({ authorization: 'Bearer alice' })).toBe('alice')
  expect(await admit({ cookie: 'a=b; pipeops_console=alice' })).toBe('alice')
  expect(await admit({ authorization: `Bearer ${own}` })).toBe('pipeops:console')
  expect(await admit({ authorization: 'Bearer mallory' })).toBe('forbidden')
  expect(await admit({ authorization: 'Bearer unknown' })).toBe('unauthenticated')
  for (const headers of [
    {},
    { authorization: 'Basic alice' },
    { authorization: 'Bearer ' },
    { cookie: 'pipeops_console=' },
  ]) {
    expect(await admit(headers)).toBe('unauthenticated')
  }
})

test('the name of a user counts only with the secret of the tunnel, also where anybody may read', async () => {
  for (const isOpen of [false, true]) {
    const { admit } = start({ isOpen })
    expect(await admit(tunnel('alice'))).toBe('alice')
    expect(await admit(tunnel('bob'))).toBe('forbidden')
    const { [consoleHeaders.secret]: _secret, ...spoofed } = tunnel('alice')
    expect(await admit(spoofed)).toBe(isOpen ? 'system:anonymous' : 'unauthenticated')
    for (const guess of ['', 'x', `${secret}x`, `${secret}, ${secret}`]) {
      expect(await admit({ ...tunnel('alice'), [consoleHeaders.secret]: guess })).toBe(
        'unauthenticated',
      )
    }
  }
})

test('names and groups arrive as they are, whatever they contain', async () => {
  const { admit, asked } = start()
  await admit(tunnel(encodeURIComponent('ü,\r\nx'), ['a,b', 'c%2C'].map(encodeURIComponent).join()))
  expect(asked).toEqual([
    { asker: { user: { name: 'ü,\r\nx', groups: ['a,b', 'c%2C'] } }, verb: 'get' },
  ])
})

test('a page of another origin gets nothing, whatever it carries', async () => {
  for (const isOpen of [false, true]) {
    const { admit } = start({ isOpen })
    for (const origin of ['https://evil.example', 'http://console:9090', 'null', '']) {
      expect(await admit({ origin, cookie: 'pipeops_console=alice' })).toBe('forbidden')
    }
    expect(await admit({ origin: 'http://console:8080', cookie: 'pipeops_console=alice' })).toBe(
      isOpen ? 'system:anonymous' : 'alice',
    )
  }
})

test('what changes something needs another right than reading', async () => {
  const { admit, asked } = start()
  await admit({ authorization: 'Bearer alice' })
  await admit({ authorization: 'Bearer alice' }, 'POST')
  expect(asked).toMatchObject([{ verb: 'get' }, { verb: 'create' }])
})

test('a live connection ends with the right to it, and not because nobody can be asked', async () => {
  const ended = Promise.withResolvers<void>()
  const answers = [
    undefined,
    new AgentError('unavailable', 'away'),
    new AgentError('forbidden', ''),
  ]
  let asked = 0
  using _kept = keepAdmitted(
    async () => {
      const answer = answers[asked++]
      if (answer !== undefined) throw answer
    },
    ended.resolve,
    5,
  )
  await ended.promise
  expect(asked).toBe(3)
})
