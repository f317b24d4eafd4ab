import { once } from 'node:events'
import { watch } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { eventually } from '@agent/testing'
import { expect, test } from 'vitest'

import { watchFile } from './watched-file.ts'

async function writtenFile(text: string) {
  const dir = await mkdtemp(join(tmpdir(), 'watched-'))
  const file = join(dir, 'token')
  await writeFile(file, text)
  return { file, [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) }
}

/** Reads, and hands out what it read only after `meanwhile`, which runs once. */
function slowly(meanwhile: () => Promise<void>, turn: number) {
  let reads = 0
  return async (file: string): Promise<string> => {
    const text = await readFile(file, 'utf8')
    if (++reads === turn) await meanwhile()
    return text
  }
}

test.each([
  ['at the first read', 1],
  ['at the second, once it is watched', 2],
  ['at a later one', 3],
])('what is written while it is read counts at once: %s', async (_when, turn) => {
  await using mount = await writtenFile('first')
  const heard: string[] = []
  const meanwhile = async (): Promise<void> => {
    // The event is there before the read ends.
    const watcher = watch(dirname(mount.file))
    const changed = once(watcher, 'change')
    await writeFile(mount.file, 'last')
    await changed
    watcher.close()
  }
  using watched = await watchFile(
    mount.file,
    (text) => void heard.push(text),
    slowly(meanwhile, turn),
  )
  if (turn === 3) await writeFile(mount.file, 'second')
  await eventually(() => watched.text === 'last', { deadlineMs: 2_000, what: 'the last content' })
  expect(heard.at(-1)).toBe('last')
})

test('what is gone or empty replaces nothing', async () => {
  await using mount = await writtenFile('first')
  using watched = await watchFile(mount.file, () => {})
  await writeFile(mount.file, '')
  await rm(mount.file)
  await writeFile(mount.file, 'second')
  await eventually(() => watched.text !== 'first', { deadlineMs: 2_000, what: 'the new content' })
  expect(watched.text).toBe('second')
})
