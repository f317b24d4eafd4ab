import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { beforeAll, expect, test } from 'vitest'

import { buildGenerator, createGenerators, type StartGenerator } from './generator.ts'

const cipher = 'TLS_AES_128_GCM_SHA256'
const size = 3_000_000
let dir: string
let start: StartGenerator
let file: Buffer
let crc: number

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'bench-test-'))
  start = createGenerators(await buildGenerator(dir), new AbortController().signal)
  await using certs = await start({ mode: 'certs', dir, hosts: ['127.0.0.1'] })
  await certs.go()
  await using filler = await start({ mode: 'fill', file: join(dir, 'body'), bytes: size })
  crc = (await filler.go())['crc'] as number
  file = await readFile(join(dir, 'body'))
  return () => rm(dir, { recursive: true, force: true })
})

/** An origin that serves `body`, counts what it is asked, and answers an upload with what `receive` says. */
async function startOrigin(body: Buffer, ciphers = cipher) {
  let requests = 0
  const seen = new Set<string | undefined>()
  const server: Server = createServer(
    {
      cert: await readFile(join(dir, 'origin.crt')),
      key: await readFile(join(dir, 'origin.key')),
      ciphers,
    },
    (request, response) => {
      requests++
      seen.add(request.headers.authorization)
      if (request.url === '/base/missing') return response.writeHead(404).end('nothing')
      // Chunked on purpose, in pieces that fit nothing.
      for (let at = 0; at < body.length; at += 77_777)
        response.write(body.subarray(at, at + 77_777))
      return response.end()
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    target: {
      url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/base`,
      caFile: join(dir, 'ca.crt'),
      token: 'secret',
    },
    get requests() {
      return requests
    },
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('every request is counted once, and the token goes with each', async () => {
  await using origin = await startOrigin(Buffer.from('hello'))
  await using generator = await start({
    ...{ mode: 'load', path: '/small', bytes: 5, concurrency: 4 },
    ...{ warmupMs: 0, durationMs: 300, ...origin.target },
  })
  const warm = origin.requests
  const figures = await generator.go()
  expect(figures['requests']).toBe(origin.requests - warm)
  expect(figures['requests']).toBeGreaterThan(100)
  expect(figures['p50Ms']).toBeLessThanOrEqual(figures['p99Ms'] as number)
  expect(figures['p99Ms']).toBeLessThanOrEqual(figures['maxMs'] as number)
  expect([...origin.seen]).toEqual(['Bearer secret'])
})

test('a body is verified, and a damaged one ends the measurement', async () => {
  const spec = { mode: 'download', path: '/body', bytes: size, crc, count: 2 } as const
  await using origin = await startOrigin(file)
  await using good = await start({ ...spec, ...origin.target })
  expect(await good.go()).toMatchObject({ bytes: 2 * size })

  const damaged = Buffer.from(file)
  damaged[size - 1] = (damaged[size - 1] as number) ^ 1
  await using liar = await startOrigin(damaged)
  await using bad = await start({ ...spec, ...liar.target })
  await expect(bad.go()).rejects.toThrow('arrived damaged')
})

test('an answer that is no success, or another cipher, is no result', async () => {
  await using origin = await startOrigin(Buffer.from('hello'))
  const spec = { mode: 'load', concurrency: 1, warmupMs: 10, durationMs: 10 } as const
  await expect(start({ ...spec, path: '/missing', ...origin.target })).rejects.toThrow('404')
  await using other = await startOrigin(Buffer.from('hello'), 'TLS_AES_256_GCM_SHA384')
  await expect(start({ ...spec, path: '/', ...other.target })).rejects.toThrow(
    'not what the others are measured with',
  )
})

test('files are the same at each run, so that checksums may be kept', async () => {
  await using again = await start({ mode: 'fill', file: join(dir, 'again'), bytes: size })
  expect(await again.go()).toEqual({ crc })
  const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
  expect(digest(await readFile(join(dir, 'again')))).toBe(digest(file))
})
