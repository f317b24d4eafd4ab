import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { openTokenFile } from './token-file.ts'

async function start() {
  const dir = await mkdtemp(join(tmpdir(), 'console-token-'))
  const file = join(dir, 'token')
  await writeFile(file, 'first\n')
  let nowMs = 0
  let warnings = 0
  const token = await openTokenFile(file, { warn: () => void warnings++ }, () => nowMs)
  return {
    file,
    token,
    /** A second later. */
    later: () => ((nowMs += 1_000), token()),
    warnings: () => warnings,
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true }),
  }
}

test('a rotated token counts within a second, and is not read for each request', async () => {
  await using at = await start()
  await writeFile(at.file, 'second\n')
  expect(await at.token()).toBe('first')
  expect(await at.later()).toBe('second')
})

test('a file that is gone or empty lets nobody in; one that is back does. It is logged once', async () => {
  await using at = await start()
  await rm(at.file)
  expect([await at.later(), await at.later(), at.warnings()]).toEqual([undefined, undefined, 1])
  await writeFile(at.file, '')
  expect(await at.later()).toBeUndefined()
  await writeFile(at.file, 'third')
  expect(await at.later()).toBe('third')
})

test('a file that cannot be read at the start is a configuration problem; no file is no token', async () => {
  const log = { warn() {} }
  await expect(openTokenFile('/no/such/token', log)).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringContaining('CONSOLE_TOKEN_FILE'),
  })
  expect(await (await openTokenFile(undefined, log))()).toBeUndefined()
})
