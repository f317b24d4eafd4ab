import { gunzipSync } from 'node:zlib'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { cases } from './conformance-cases.ts'
import { type Answer, startSystem, type System } from './system.ts'

let system: System

beforeAll(async () => {
  system = await startSystem()
  await system.kubectl('direct', 'create', 'namespace', 'conformance')
}, 600_000)
afterAll(() => system?.[Symbol.asyncDispose]())

/** Headers that belong to one hop, or to one request: not the API server's answer. */
const hopHeaders = new Set(['connection', 'keep-alive', 'transfer-encoding', 'date', 'audit-id'])
/** What differs between any two requests that write, however they travel. */
const volatile: [RegExp, string][] = [
  [/"(uid|resourceVersion|creationTimestamp|time)":"[^"]*"/g, '"$1":"*"'],
  [/twin-(direct|tunnel)/g, 'twin'],
  // A Table shows ages.
  [/"cells":\[[^\]]*\]/g, '"cells":"*"'],
]

test(`${cases.length} calls are answered alike, direct and through the tunnel`, async () => {
  expect(cases.length).toBeGreaterThanOrEqual(150)
  const differences: string[] = []
  for (const { name, ...call } of cases) {
    try {
      const direct = await system.call('direct', twin(call, 'direct'))
      const tunnel = await system.call('tunnel', twin(call, 'tunnel'))
      const difference = compare(direct, tunnel)
      if (difference !== undefined) differences.push(`${name}: ${difference}`)
    } catch (error) {
      differences.push(`${name}: ${(error as Error).message}`)
    }
  }
  expect(differences).toEqual([])
}, 180_000)

function twin<T extends { path: string; body?: string | Buffer }>(call: T, way: string): T {
  const set = (text: string): string => text.replaceAll('{twin}', `twin-${way}`)
  return {
    ...call,
    path: set(call.path),
    ...(typeof call.body === 'string' ? { body: set(call.body) } : {}),
  }
}

function compare(direct: Answer, tunnel: Answer): string | undefined {
  if (direct.status !== tunnel.status) {
    return `status ${direct.status} direct, ${tunnel.status} through the tunnel: ${tunnel.body.toString().slice(0, 200)}`
  }
  const isSame = direct.body.equals(tunnel.body)
  if (!isSame) {
    const [a, b] = [normalize(direct), normalize(tunnel)]
    if (a !== b) return `bodies differ:\n${a.slice(0, 600)}\n${b.slice(0, 600)}`
  }
  for (const key of new Set([...Object.keys(direct.headers), ...Object.keys(tunnel.headers)])) {
    if (hopHeaders.has(key) || (key === 'content-length' && !isSame)) continue
    if (String(direct.headers[key]) !== String(tunnel.headers[key])) {
      return `header ${key}: ${String(direct.headers[key])} direct, ${String(tunnel.headers[key])} through the tunnel`
    }
  }
  return undefined
}

function normalize({ body }: Answer): string {
  const isGzip = body[0] === 0x1f && body[1] === 0x8b
  const text = (isGzip ? gunzipSync(body) : body).toString('utf8')
  return volatile.reduce((out, [pattern, by]) => out.replaceAll(pattern, by), text)
}

test(
  'every socket, file, child, timer, stream and subscription is back to the baseline',
  () => system.backTo(),
  90_000,
)
