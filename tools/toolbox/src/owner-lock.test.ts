import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { takeOwnerLock } from './owner-lock.ts'
import { identify } from './process-identity.ts'

async function openDir() {
  const dir = await mkdtemp(join(tmpdir(), 'pipeops-lock-'))
  return {
    dir,
    file: join(dir, 'pid'),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  }
}

test('a lock of a living process is kept, and its owner named', async () => {
  await using folder = await openDir()
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'])
  try {
    await once(child, 'spawn')
    await writeFile(folder.file, await identify(child.pid as number))
    expect(await takeOwnerLock(folder.file)).toEqual({ isOurs: false, owner: child.pid })
  } finally {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  expect((await takeOwnerLock(folder.file)).isOurs).toBe(true)
})

test('a pid that means another process now does not keep the lock', async () => {
  await using folder = await openDir()
  await writeFile(folder.file, `${process.pid} 1`)
  expect((await takeOwnerLock(folder.file)).isOurs).toBe(true)
})

test('of many who find a dead owner’s lock, one gets it', async () => {
  await using folder = await openDir()
  await writeFile(folder.file, '1 1')
  const taken = await Promise.all(Array.from({ length: 20 }, () => takeOwnerLock(folder.file)))
  expect(taken.filter(({ isOurs }) => isOurs)).toHaveLength(1)
  expect(await readdir(folder.dir)).toEqual(['pid'])
})

test('a released lock is gone, and somebody else’s stays', async () => {
  await using folder = await openDir()
  const lock = await takeOwnerLock(folder.file)
  if (!lock.isOurs) throw new Error('not taken')
  await writeFile(folder.file, '2 2')
  await lock.release()
  expect(await readFile(folder.file, 'utf8')).toBe('2 2')
  await writeFile(folder.file, await identify(process.pid))
  await lock.release()
  expect(await readdir(folder.dir)).toEqual([])
})
