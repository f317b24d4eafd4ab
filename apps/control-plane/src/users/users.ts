import { AgentError } from '@agent/contracts'

import type { Access, Users } from '../ports.ts'
import type { UserTokenRecord } from '../store/records.ts'
import type { Bucket } from '../store/store.ts'
import { bearerOf, hashSecret } from './secrets.ts'
import type { StaticTokens } from './static-tokens.ts'

const missing = new AgentError('unauthenticated', 'the request has no bearer token')
const unknown = new AgentError('unauthenticated', 'the token is not known')
/** Hashing costs more than a look-up; the last few distinct tokens are remembered by value, in memory only. */
const rememberedTokens = 1_024

/** Users by token: from the store, and from the static file. */
export function createUsers(
  bucket: Bucket<UserTokenRecord>,
  staticTokens: StaticTokens,
  now: () => number = Date.now,
): Users & Disposable {
  const remembered = new Map<string, string>()
  const listeners = new Set<(tokenHash: string) => void>()
  const revoked = ({ hash }: UserTokenRecord): void => {
    for (const listener of listeners) listener(hash)
  }
  staticTokens.onRemoved(revoked)
  const subscription = bucket.onChange((_key, value, before) => {
    if (value === undefined && before !== undefined) revoked(before)
  })

  function hashOf(secret: string): string {
    const known = remembered.get(secret)
    if (known !== undefined) return known
    const hash = hashSecret(secret)
    if (remembered.size >= rememberedTokens) remembered.clear()
    // Only valid tokens are remembered, or a stranger could fill the memory.
    if (find(hash) !== undefined) remembered.set(secret, hash)
    return hash
  }

  function find(hash: string): UserTokenRecord | undefined {
    return bucket.get(hash) ?? staticTokens.records.find((record) => record.hash === hash)
  }

  return {
    authenticate(authorization) {
      const secret = bearerOf(authorization)
      if (secret === undefined) return missing
      const record = find(hashOf(secret))
      if (record === undefined) return unknown
      const expiresAtMs = record.expiresAt === null ? undefined : Date.parse(record.expiresAt)
      if (expiresAtMs !== undefined && expiresAtMs <= now()) {
        return new AgentError(
          'token-expired',
          `the token ${record.id} expired at ${record.expiresAt}`,
        )
      }
      return accessOf(record, expiresAtMs)
    },
    onRevoked(listener) {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
    [Symbol.dispose]() {
      subscription[Symbol.dispose]()
    },
  }
}

function accessOf(record: UserTokenRecord, expiresAtMs: number | undefined): Access {
  return {
    user: { name: record.user, groups: record.groups },
    clusters: record.clusters === null ? '*' : new Set(record.clusters),
    tokenId: record.id,
    tokenHash: record.hash,
    expiresAtMs,
  }
}

/** Who may change users, tokens and clusters. */
export const operatorsGroup = 'pipeops:operators'

/** True if the access reaches this cluster. */
export function mayUse(access: Access, clusterName: string): boolean {
  return access.clusters === '*' || access.clusters.has(clusterName)
}
