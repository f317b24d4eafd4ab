import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { replaceFile } from './replace-file.ts'

test('a secret is private also where a file that everybody may read was before', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'replace-'))
  await using _dir = { [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) }
  const file = join(dir, 'kubeconfig')
  await writeFile(file, 'old', { mode: 0o644 })
  await replaceFile(file, 'secret')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await readFile(file, 'utf8')).toBe('secret')
  await expect(replaceFile(join(dir, 'none', 'file'), 'secret')).rejects.toThrow('ENOENT')
  expect(await readdir(dir)).toEqual(['kubeconfig'])
})
