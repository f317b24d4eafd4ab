import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { eventually } from '@agent/testing'
import { resolveTool } from '@agent/toolbox'
import { pino } from 'pino'
import { expect, test } from 'vitest'

import { freePort } from '../control-plane.testing.ts'
import { externalNats } from './external-nats.ts'
import { openStore } from './store.ts'

const log = pino({ level: 'silent' })

async function makeNats() {
  const dir = await mkdtemp(join(tmpdir(), 'external-nats-'))
  const program = await resolveTool('nats-server')
  const port = await freePort()
  let child: ChildProcess | undefined
  async function stop(): Promise<void> {
    if (child === undefined) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  return {
    port,
    tokenFile: join(dir, 'token'),
    async start(token: string): Promise<void> {
      await stop()
      const args = ['-a', '127.0.0.1', '-p', `${port}`, '-js', '-sd', dir, '--auth', token]
      child = spawn(program, args, { stdio: 'ignore' })
    },
    async [Symbol.asyncDispose]() {
      await stop()
      await rm(dir, { recursive: true })
    },
  }
}

test('a NATS that asks for a token is used, also after the token was changed on both sides', async () => {
  await using nats = await makeNats()
  await writeFile(nats.tokenFile, 'one\n')
  await nats.start('one')
  const address = await externalNats(`nats://127.0.0.1:${nats.port}`, nats.tokenFile)
  let logins = 0
  const token = (): string => {
    logins++
    return (address.token as () => string)()
  }
  await using store = await openStore({ ...address, token, log })
  expect(store.connected).toBe(true)

  await nats.start('two')
  await eventually(() => logins > 4, { deadlineMs: 8_000, what: 'some refused logins' })
  expect(store.connected).toBe(false)
  await writeFile(nats.tokenFile, 'two\n')
  await eventually(() => store.connected, { deadlineMs: 8_000, what: 'the return' })
})

test('a NATS that refuses us is named by its host, never with the password', async () => {
  await using nats = await makeNats()
  await nats.start('one')
  const address = await externalNats(`nats://admin:hidden@127.0.0.1:${nats.port}`, undefined)
  const opening = openStore({ ...address, log, connectMs: 500 })
  await expect(opening).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringMatching(/^NATS at 127.0.0.1:\d+ cannot be used \(\w+\)$/),
  })
})
