import { once } from 'node:events'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'

import { eventually } from '@agent/testing'
import { pino } from 'pino'
import { expect, test } from 'vitest'

import { followTls, secureOptions } from './tls-reload.ts'
import { keepGeneratedTls, readGivenTls } from './tls.ts'

async function makeDir() {
  const dir = await mkdtemp(join(tmpdir(), 'tls-'))
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) }
}

test('whatever part of the serving certificate is gone, old, or another’s: the CA stays', async () => {
  await using made = await makeDir()
  const { dir } = made
  const first = await keepGeneratedTls(dir, [])
  expect(await keepGeneratedTls(dir, [])).toEqual(first)
  const damages = [
    () => rm(join(dir, 'tls.crt')),
    () => rm(join(dir, 'tls.key')),
    () => copyFile(join(dir, 'ca.key'), join(dir, 'tls.key')),
    () => writeFile(join(dir, 'tls.crt'), 'half a certif'),
  ]
  let before = first
  for (const damage of damages) {
    await damage()
    const next = await keepGeneratedTls(dir, [])
    expect(next.ca).toBe(first.ca)
    expect(next.cert).not.toBe(before.cert)
    before = next
  }
  expect((await keepGeneratedTls(dir, ['plane.example'])).ca).toBe(first.ca)
})

test('half of a CA is never replaced by a new one', async () => {
  for (const half of ['ca.key', 'ca.crt']) {
    await using made = await makeDir()
    const { dir } = made
    await keepGeneratedTls(dir, [])
    await rm(join(dir, half))
    await rm(join(dir, 'tls.crt'))
    await expect(keepGeneratedTls(dir, [])).rejects.toMatchObject({
      code: 'config-invalid',
      message: expect.stringContaining(join(dir, half)),
    })
  }
})

test('a renewed certificate is served without a restart; a bad one is not', async () => {
  await using made = await makeDir()
  const { dir } = made
  const { ca = '' } = await keepGeneratedTls(dir, [])
  const [cert, key] = [join(dir, 'tls.crt'), join(dir, 'tls.key')]
  const read = () => readGivenTls(cert, key)
  const tls = await read()
  await using server = createServer(secureOptions(tls)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stopping = new AbortController()
  let reads = 0
  const counted = () => (reads++, read())
  const options = { log: pino({ level: 'silent' }), signal: stopping.signal, intervalMs: 20 }
  const following = followTls(server, tls, counted, options)
  const serial = async (): Promise<string> => {
    const { port } = server.address() as AddressInfo
    const socket = connect({ port, host: 'localhost', ca })
    await once(socket, 'secureConnect')
    const { serialNumber } = socket.getPeerCertificate()
    socket.destroy()
    return serialNumber
  }

  const before = await serial()
  const good = await readFile(cert)
  await writeFile(cert, 'nothing')
  const readsBefore = reads
  await eventually(() => reads > readsBefore + 1, { deadlineMs: 2_000, what: 'a second look' })
  expect(await serial()).toBe(before)
  await writeFile(cert, good)
  await keepGeneratedTls(dir, ['plane.example'])
  await eventually(async () => (await serial()) !== before, {
    deadlineMs: 2_000,
    what: 'the change',
  })
  stopping.abort()
  await following
})
