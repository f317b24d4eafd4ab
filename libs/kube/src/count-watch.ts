import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

import { AgentError } from '@agent/contracts'
import * as z from 'zod'

import type { ApiServer } from './api-server.ts'
import { callKube, kubeHeaders, unanswered } from './call.ts'

const metadataOnly = (kind: string): string =>
  `application/json;as=${kind};g=meta.k8s.io;v=v1,application/json`
const pageSize = 500
/** The API server ends a watch after this long; silence much beyond it means a dead connection. */
const watchSeconds = 240
/** Between any two rounds, however they end: an API server must never be asked in a loop. */
const defaultTiming = { firstWaitMs: 1_000, longestWaitMs: 30_000, steadyMs: 5_000 }

const Metadata = z.object({
  uid: z.string().optional(),
  resourceVersion: z.string().optional(),
})
const List = z.object({
  metadata: z.object({ resourceVersion: z.string(), continue: z.string().optional() }),
  items: z.array(z.object({ metadata: Metadata })),
})
const Event = z.object({
  type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']),
  object: z.object({ metadata: Metadata.optional(), code: z.number().optional() }),
})

/** How many objects there are, kept current by a metadata-only watch. */
export type CountWatch = {
  /** Null until the first list came in. */
  readonly count: number | null
  /** Why the count may be old; undefined once a watch held for some seconds. */
  readonly problem: AgentError | undefined
}

/** Counts the objects below a path (`/api/v1/pods`) until the signal ends; keeps their uids and nothing else. */
export function watchCount(
  api: ApiServer,
  path: string,
  signal: AbortSignal,
  random: () => number = Math.random,
  timing: typeof defaultTiming = defaultTiming,
): CountWatch & { done: Promise<void> } {
  const uids = new Set<string>()
  let count: number | null = null
  let problem: AgentError | undefined
  let waitMs = timing.firstWaitMs

  async function list(): Promise<string> {
    const found = new Set<string>()
    let page = ''
    for (;;) {
      const query = `?limit=${pageSize}${page === '' ? '' : `&continue=${encodeURIComponent(page)}`}`
      const accept = metadataOnly('PartialObjectMetadataList')
      const { status, body } = await callKube(api, { path: path + query, accept, signal })
      if (status !== 200) throw refused('list', path, status)
      const { items, metadata } = List.parse(body)
      for (const item of items) if (item.metadata.uid !== undefined) found.add(item.metadata.uid)
      page = metadata.continue ?? ''
      if (page !== '') continue
      uids.clear()
      for (const uid of found) uids.add(uid)
      count = uids.size
      return metadata.resourceVersion
    }
  }

  /** Follows changes; returns the version to go on from, or undefined when a new list is needed. */
  async function follow(version: string): Promise<string | undefined> {
    const query = `?watch=1&allowWatchBookmarks=true&timeoutSeconds=${watchSeconds}&resourceVersion=${version}`
    const response = await api.dispatcher().request({
      origin: api.origin,
      path: api.basePath + path + query,
      method: 'GET',
      headers: kubeHeaders(api, metadataOnly('PartialObjectMetadata')),
      signal,
      headersTimeout: 10_000,
      // Bookmarks come about once a minute.
      bodyTimeout: 150_000,
    })
    if (response.statusCode !== 200) {
      await response.body.dump()
      if (response.statusCode === 410) return undefined
      throw refused('watch', path, response.statusCode)
    }
    const steady = setTimeout(() => {
      problem = undefined
      waitMs = timing.firstWaitMs
    }, timing.steadyMs)
    try {
      return await read(response.body, version)
    } finally {
      clearTimeout(steady)
    }
  }

  async function read(body: Readable, version: string): Promise<string | undefined> {
    let latest = version
    for await (const line of createInterface({ input: body })) {
      const { type, object } = Event.parse(JSON.parse(line))
      if (type === 'ERROR') {
        if (object.code === 410) return undefined
        throw refused('watch', path, object.code ?? 0)
      }
      latest = object.metadata?.resourceVersion ?? latest
      const uid = object.metadata?.uid
      if (uid === undefined) continue
      if (type === 'ADDED' || type === 'MODIFIED') uids.add(uid)
      if (type === 'DELETED') uids.delete(uid)
      count = uids.size
    }
    return latest
  }

  async function run(): Promise<void> {
    let version: string | undefined
    while (!signal.aborted) {
      try {
        version ??= await list()
        const startedAt = performance.now()
        version = await follow(version)
        if (performance.now() - startedAt < timing.steadyMs) {
          throw new AgentError('api-server-unreachable', `the watch of ${path} ended at once`)
        }
      } catch (error) {
        if (signal.aborted) return
        problem = unanswered(error)
        version = undefined
      }
      await wait(waitMs * (1 + random() * 0.5), signal)
      waitMs = Math.min(waitMs * 2, timing.longestWaitMs)
    }
  }

  return {
    get count() {
      return count
    },
    get problem() {
      return problem
    },
    done: run(),
  }
}

function refused(verb: 'list' | 'watch', path: string, status: number): AgentError {
  return status === 401 || status === 403
    ? new AgentError('rbac-missing', `the agent may not ${verb} ${path} (${status})`)
    : new AgentError('api-server-unreachable', `${verb} of ${path} was answered with ${status}`)
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
    if (signal.aborted) done()
  })
}
