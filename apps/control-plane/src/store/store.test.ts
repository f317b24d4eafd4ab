import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { eventually } from '@agent/testing'
import { resolveTool } from '@agent/toolbox'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { createTickets } from '../tickets.ts'
import { hashSecret } from '../users/secrets.ts'
import { fixedTokens } from '../users/static-tokens.ts'
import { createUsers } from '../users/users.ts'
import { startNatsChild } from './nats-child.ts'
import { UserTokenRecord } from './records.ts'
import { openStore } from './store.ts'

const log = pino({ level: 'silent' })
let program: string
let dir: string
beforeAll(async () => {
  program = await resolveTool('nats-server')
  dir = await mkdtemp(join(tmpdir(), 'store-'))
})
afterAll(() => rm(dir, { recursive: true }))

async function openAll() {
  const scope = new AsyncDisposableStack()
  const nats = scope.use(await startNatsChild({ program, dir, log }))
  const store = scope.use(await openStore({ ...nats, log }))
  return { store, [Symbol.asyncDispose]: () => scope.disposeAsync() }
}

function record(secret: string, expiresAt: string | null = null): UserTokenRecord {
  return {
    id: `id-${secret}`,
    hash: hashSecret(secret),
    user: 'alice',
    groups: ['dev'],
    clusters: ['east'],
    createdAt: new Date(0).toISOString(),
    expiresAt,
  }
}

test('what was written outlives a restart, and no secret is in the files', async () => {
  {
    await using all = await openAll()
    const tokens = await all.store.open('user-tokens', UserTokenRecord)
    await tokens.put(hashSecret('pat_secret'), record('pat_secret'))
  }
  await using all = await openAll()
  const tokens = await all.store.open('user-tokens', UserTokenRecord)
  expect(tokens.get(hashSecret('pat_secret'))).toMatchObject({ user: 'alice' })
  expect(await readFile(join(dir, 'nats', 'nats.conf'), 'utf8')).not.toContain('pat_secret')
})

test('a change made elsewhere is seen here', async () => {
  await using all = await openAll()
  const [here, there] = [
    await all.store.open('shared', UserTokenRecord),
    await all.store.open('shared', UserTokenRecord),
  ]
  await there.put('a', record('a'))
  await eventually(() => here.get('a'), { deadlineMs: 5_000, what: 'the record' })
  await there.delete('a')
  await eventually(() => here.get('a') === undefined, { deadlineMs: 5_000, what: 'its end' })
})

test('a user is who the token says, until it expires or is revoked', async () => {
  await using all = await openAll()
  const bucket = await all.store.open('users', UserTokenRecord)
  const clock = { now: Date.parse('2030-01-01T00:00:00Z') }
  using users = createUsers(bucket, fixedTokens(), () => clock.now)
  await bucket.put(hashSecret('t'), record('t', '2030-01-01T00:00:10Z'))
  expect(users.authenticate('Bearer t')).toMatchObject({ user: { name: 'alice', groups: ['dev'] } })
  expect(users.authenticate('bearer  t')).toMatchObject({ tokenId: 'id-t' })
  clock.now += 10_000
  expect(users.authenticate('Bearer t')).toMatchObject({ code: 'token-expired' })
  clock.now -= 10_000
  const revoked: string[] = []
  using _subscription = users.onRevoked((hash) => void revoked.push(hash))
  await bucket.delete(hashSecret('t'))
  expect(users.authenticate('Bearer t')).toMatchObject({ code: 'unauthenticated' })
  expect(revoked).toContain(hashSecret('t'))
  for (const header of [undefined, '', 'Basic t', 'Bearer ', 'Bearer other']) {
    expect(users.authenticate(header)).toMatchObject({ code: 'unauthenticated' })
  }
})

test('a ticket is good once, for its kind, and not when it was tampered with', async () => {
  await using all = await openAll()
  const tickets = await createTickets(all.store)
  const claims = { clusterId: 'c', agentTokenId: 't', instance: 'i' }
  const { ticket } = await tickets.issue('proxy', claims)
  await expect(tickets.verify(ticket, 'tunnel')).rejects.toMatchObject({ code: 'unauthenticated' })
  expect(await tickets.verify(ticket, 'proxy')).toEqual(claims)
  await expect(tickets.verify(ticket, 'proxy')).rejects.toMatchObject({ code: 'unauthenticated' })
  const [head, , tail] = (await tickets.issue('proxy', claims)).ticket.split('.')
  const forged = Buffer.from('{"kind":"proxy","cluster":"other","jti":"x","exp":9999999999}')
  const token = [head, forged.toString('base64url'), tail].join('.')
  await expect(tickets.verify(token, 'proxy')).rejects.toMatchObject({ code: 'unauthenticated' })
})
