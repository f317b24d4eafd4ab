import { chmod, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { eventually } from '@agent/testing'
import { resolveTool } from '@agent/toolbox'
import { pino } from 'pino'
import { expect, test } from 'vitest'

import { startNatsChild } from './nats-child.ts'

const log = pino({ level: 'silent' })

async function makeProgram() {
  const dir = await mkdtemp(join(tmpdir(), 'nats-child-'))
  const program = join(dir, 'nats-server')
  await writeFile(program, `#!/bin/sh\nexec ${await resolveTool('nats-server')} "$@"\n`)
  await chmod(program, 0o755)
  return { dir, program, [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) }
}

test('a nats-server whose program is away for a while comes back, and a stop never waits for it', async () => {
  await using made = await makeProgram()
  const { dir, program } = made
  const refusals: string[] = []
  const counting = pino(
    {},
    { write: (line: string) => void (line.includes('ENOENT') && refusals.push(line)) },
  )
  const child = await startNatsChild({ program, dir, log: counting })
  const pidFile = join(dir, 'nats', 'pid')
  const pid = (not?: number): Promise<number> =>
    eventually(
      async () => {
        const found = Number(await readFile(pidFile, 'utf8'))
        return found === not ? 0 : found
      },
      { deadlineMs: 8_000, what: 'a nats-server' },
    )

  const first = await pid()
  await rename(program, `${program}.away`)
  process.kill(first, 'SIGKILL')
  await eventually(() => refusals.length >= 2, { deadlineMs: 5_000, what: 'two vain starts' })
  await rename(`${program}.away`, program)
  const second = await pid(first)

  await rename(program, `${program}.away`)
  process.kill(second, 'SIGKILL')
  await eventually(() => refusals.length >= 3, { deadlineMs: 10_000, what: 'a vain start' })
  await child[Symbol.asyncDispose]()
})

test('a program that cannot be run is named at the start', async () => {
  await using made = await makeProgram()
  const starting = startNatsChild({ program: '/none/nats-server', dir: made.dir, log })
  await expect(starting).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringContaining('/none/nats-server'),
  })
})
