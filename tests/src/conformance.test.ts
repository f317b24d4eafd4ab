import { gunzipSync } from 'node:zlib'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { cases, paged } from './conformance-cases.ts'
import { type Answer, type CallOptions, startSystem, type System } from './system.ts'

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
]

test(`${cases.length} calls are answered alike, direct and through the tunnel`, async () => {
  expect(cases.length).toBeGreaterThanOrEqual(150)
  const differences: string[] = []
  for (const { name, holds, ...call } of cases) {
    try {
      const direct = await system.call('direct', twin(call, 'direct'))
      const tunnel = await system.call('tunnel', twin(call, 'tunnel'))
      let difference = compare(direct, tunnel)
      if (difference !== undefined && isRead(call)) {
        difference = compare(await system.call('direct', twin(call, 'direct')), tunnel)
      }
      if (difference !== undefined) differences.push(`${name}: ${difference}`)
      if (holds !== undefined && !holds.test(tunnel.body.toString('latin1'))) {
        differences.push(
          `${name}: ${tunnel.status}, without what was to be seen: ${excerpt(tunnel)}`,
        )
      }
    } catch (error) {
      differences.push(`${name}: ${(error as Error).message}`)
    }
  }
  expect(differences).toEqual([])
}, 180_000)

test.each(paged)(
  'the pages of %s are alike, each way with its own tokens, and together they are the list',
  async (path) => {
    const [direct, tunnel] = await Promise.all([pagesOf('direct', path), pagesOf('tunnel', path)])
    expect(direct.length).toBeGreaterThanOrEqual(2)
    expect(tunnel).toHaveLength(direct.length)
    const differences = direct.map((page, at) => compare(page, tunnel[at] as Answer, unequalTokens))
    expect(differences.filter((difference) => difference !== undefined)).toEqual([])
    expect(tunnel.flatMap(namesIn)).toEqual(namesIn(await system.call('tunnel', { path })))
  },
)

/** A token says at which version of everything its first page was read. */
const unequalTokens: [RegExp, string][] = [[/"continue":"[^"]+"/g, '"continue":"*"']]

async function pagesOf(way: 'direct' | 'tunnel', path: string): Promise<Answer[]> {
  const pages: Answer[] = []
  for (let token = ''; ;) {
    const query = `${path.includes('?') ? '&' : '?'}limit=2&continue=${encodeURIComponent(token)}`
    const page = await system.call(way, { path: `${path}${query}` })
    pages.push(page)
    token = listIn(page).metadata.continue ?? ''
    if (token === '') return pages
  }
}

/**
 * A read is asked for directly a second time where it differs: what the API server does by itself in between, as when
 * it builds its OpenAPI document anew, is then in the later answer, and a tunnel that alters an answer differs from both.
 */
function isRead({ method = 'GET' }: CallOptions): boolean {
  return method === 'GET'
}

type List = { metadata: { continue?: string }; items: { metadata: { name: string } }[] }

function listIn({ body }: Answer): List {
  return JSON.parse(body.toString('utf8')) as List
}

function namesIn(page: Answer): string[] {
  return listIn(page).items.map(({ metadata }) => metadata.name)
}

function twin<T extends { path: string; body?: string | Buffer }>(call: T, way: string): T {
  const set = (text: string): string => text.replaceAll('{twin}', `twin-${way}`)
  return {
    ...call,
    path: set(call.path),
    ...(typeof call.body === 'string' ? { body: set(call.body) } : {}),
  }
}

function compare(
  direct: Answer,
  tunnel: Answer,
  more: [RegExp, string][] = [],
): string | undefined {
  if (direct.status !== tunnel.status) {
    return `status ${direct.status} direct, ${tunnel.status} through the tunnel: ${excerpt(tunnel)}`
  }
  const isSame = direct.body.equals(tunnel.body)
  if (!isSame) {
    const [a, b] = [normalize(direct, more), normalize(tunnel, more)]
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

function excerpt({ body }: Answer): string {
  return body.toString().slice(0, 200)
}

function normalize({ body }: Answer, more: [RegExp, string][]): string {
  const isGzip = body[0] === 0x1f && body[1] === 0x8b
  const text = (isGzip ? gunzipSync(body) : body).toString('utf8')
  const patterns = [...volatile, ...more]
  return withoutAges(patterns.reduce((out, [pattern, by]) => out.replaceAll(pattern, by), text))
}

/** A Table, also one in a watch, with its column of ages blank; every other cell stays. */
function withoutAges(text: string): string {
  let age = -1
  return text.replaceAll(
    /"columnDefinitions":(\[.*?\]),"rows"|"cells":(\[[^\]]*\])/g,
    (all, columns?: string, cells?: string) => {
      if (columns !== undefined) {
        age = (JSON.parse(columns) as { name: string }[]).findIndex(({ name }) => name === 'Age')
        return all
      }
      const row = JSON.parse(cells as string) as unknown[]
      return JSON.stringify(row.map((cell, at) => (at === age ? '*' : cell)))
    },
  )
}

test(
  'every socket, file, child, timer, stream and subscription is back to the baseline',
  () => system.backToStart(),
  120_000,
)
