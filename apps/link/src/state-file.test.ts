import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { loadIdentity } from './identity.ts'
import { createFileState } from './state-file.ts'

async function tempDir(): Promise<AsyncDisposable & { file: string; keyFile: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'state-'))
  const file = join(dir, 'state')
  return {
    file,
    keyFile: `${file}.key`,
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true }),
  }
}

test('identity survives a restart, encrypted, in files only we can read', async () => {
  await using dir = await tempDir()
  const first = await loadIdentity(
    createFileState(dir.file, dir.keyFile),
    undefined,
    () => 'agent-1',
  )
  first.registered({ cluster_id: 'cluster-1', token: 'very-secret' })
  await first.keep()
  const second = await loadIdentity(
    createFileState(dir.file, dir.keyFile),
    undefined,
    () => 'agent-2',
  )
  expect(second.state).toEqual({
    agentId: 'agent-1',
    clusterId: 'cluster-1',
    clusterToken: 'very-secret',
  })
  const bytes = await readFile(dir.file, 'latin1')
  expect(bytes).not.toMatch(/agent-1|cluster-1|very-secret/)
  for (const file of [dir.file, dir.keyFile]) expect((await stat(file)).mode & 0o777).toBe(0o600)
})

test('the plain file of an earlier agent is taken over and encrypted at the next change', async () => {
  await using dir = await tempDir()
  await writeFile(dir.file, '{"agent_id":"old","cluster_id":"c"}')
  const identity = await loadIdentity(createFileState(dir.file, dir.keyFile), undefined)
  expect(identity.state).toMatchObject({ agentId: 'old', clusterId: 'c' })
  identity.registered({ cluster_id: 'd' })
  await identity.keep()
  expect(await readFile(dir.file, 'latin1')).not.toContain('old')
})

test('a file that was changed, or whose key is gone, is an error and is left as it is', async () => {
  await using dir = await tempDir()
  const store = createFileState(dir.file, dir.keyFile)
  await loadIdentity(store, 'agent-1')
  const bytes = await readFile(dir.file)
  bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1
  await writeFile(dir.file, bytes)
  await expect(store.load()).rejects.toMatchObject({ code: 'config-invalid' })
  await rm(dir.keyFile)
  await expect(store.load()).rejects.toThrow('is gone')
  expect(await readFile(dir.file)).toEqual(bytes)
})
