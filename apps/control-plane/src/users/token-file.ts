import { AgentError, StreamUser } from '@agent/contracts'

import type { UserTokenRecord } from '../store/records.ts'
import { hashSecret } from './secrets.ts'

/**
 * Reads kube-apiserver's static token format, `token,user,uid,"group1,group2"`, with an optional fifth column of
 * clusters. Throws `config-invalid` naming every bad line by number, never by content.
 */
export function parseTokenFile(text: string): UserTokenRecord[] {
  const problems: string[] = []
  const records: UserTokenRecord[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const columns = splitCsv(line.trim())
    const [token, user, uid, groups = '', clusters = ''] = columns ?? []
    if (!token || !user || uid === undefined || (columns?.length ?? 0) > 5) {
      problems.push(`line ${index + 1}: expected token,user,uid,"groups"[,"clusters"]`)
      continue
    }
    // What the proxies take; they would refuse every request of such a user.
    if (!StreamUser.safeParse({ name: user, groups: splitList(groups) }).success) {
      problems.push(
        `line ${index + 1}: user and groups have at most 256 characters each, and a user at most 64 groups`,
      )
      continue
    }
    records.push({
      id: `static-${index + 1}`,
      hash: hashSecret(token),
      user,
      groups: splitList(groups),
      clusters: clusters === '' ? null : splitList(clusters),
      createdAt: new Date(0).toISOString(),
      expiresAt: null,
    })
  }
  if (problems.length > 0) {
    throw new AgentError('config-invalid', `CONTROL_PLANE_TOKENS_FILE: ${problems.join('; ')}`)
  }
  return records
}

function splitList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)
}

/** One CSV line (RFC 4180 without line breaks); undefined when a quote is left open. */
function splitCsv(line: string): string[] | undefined {
  const columns: string[] = []
  const pattern = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y
  for (;;) {
    const match = pattern.exec(line)
    if (match === null) return undefined
    columns.push((match[1]?.replaceAll('""', '"') ?? match[2] ?? '').trim())
    if (match[3] === '') return columns
  }
}
