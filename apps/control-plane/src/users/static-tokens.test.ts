import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { eventually } from '@agent/testing'
import { pino } from 'pino'
import { expect, test } from 'vitest'

import { followTokenFile } from './static-tokens.ts'

test('a line that is gone or changed is told, lines that only moved are not, and nonsense changes nothing', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'static-'))
  await using _dir = { [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) }
  const file = join(dir, 'tokens.csv')
  await writeFile(file, 'a,alice,1\nb,bob,2\nc,carol,3,dev\n')
  const warnings: string[] = []
  const log = pino({}, { write: (line: string) => void warnings.push(line) })
  using tokens = await followTokenFile(file, log, 20)
  const removed: string[] = []
  tokens.onRemoved(({ user }) => void removed.push(user))

  await writeFile(file, 'nonsense')
  await eventually(() => warnings.length > 0, { deadlineMs: 5_000, what: 'the warning' })
  expect(warnings.join()).not.toContain('nonsense')
  expect(tokens.records).toHaveLength(3)

  await writeFile(file, 'b,bob,2\nc,carol,3,ops\nd,dave,4\n')
  await eventually(() => tokens.records.some(({ user }) => user === 'dave'), {
    deadlineMs: 5_000,
    what: 'the new list',
  })
  expect(removed).toEqual(['alice', 'carol'])
})
