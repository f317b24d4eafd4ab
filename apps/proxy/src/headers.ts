import type { RawHeaders, StreamUser } from '@agent/contracts'

/** Belong to one connection, not to the message (RFC 9110 §7.6.1), or are set anew on each hop. */
const hopByHop = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'proxy-authenticate',
  'proxy-authorization',
])
/** Set by this sidecar alone, whatever a client or the control plane sent. */
const ours = new Set(['host', 'authorization', 'expect', 'http2-settings'])

/**
 * The request headers for the API server: the client's less everything that is hop-by-hop or speaks of identity,
 * plus the credential and the user to impersonate.
 */
export function requestHeaders(
  headers: RawHeaders,
  identity: { authorization: string | undefined; impersonate: StreamUser | undefined },
): string[] {
  const dropped = connectionNamed(headers)
  const out: string[] = []
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] as string
    const key = normalize(name)
    if (hopByHop.has(key) || ours.has(key) || dropped.has(key)) continue
    if (key.startsWith('impersonate-')) continue
    out.push(name, headers[at + 1] as string)
  }
  if (identity.authorization !== undefined) out.push('Authorization', identity.authorization)
  const user = identity.impersonate
  if (user !== undefined) {
    out.push('Impersonate-User', user.name)
    for (const group of user.groups) out.push('Impersonate-Group', group)
  }
  return out
}

/** The response headers that go back to the client; on a 101 the upgrade's own headers stay. */
export function responseHeaders(raw: RawHeaders, isUpgrade: boolean): string[] {
  const dropped = isUpgrade ? new Set<string>() : connectionNamed(raw)
  const out: string[] = []
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] as string
    const key = normalize(name)
    if (!isUpgrade && (hopByHop.has(key) || dropped.has(key))) continue
    out.push(name, raw[at + 1] as string)
  }
  return out
}

/** The value of the first header of that name, in any spelling. */
export function headerValue(headers: RawHeaders, name: string): string | undefined {
  for (let at = 0; at + 1 < headers.length; at += 2) {
    if ((headers[at] as string).toLowerCase() === name) return headers[at + 1]
  }
  return undefined
}

/** Headers that `Connection` declares hop-by-hop. */
function connectionNamed(headers: RawHeaders): Set<string> {
  const names = new Set<string>()
  for (let at = 0; at + 1 < headers.length; at += 2) {
    if ((headers[at] as string).toLowerCase() !== 'connection') continue
    for (const name of (headers[at + 1] as string).split(',')) names.add(normalize(name))
  }
  return names
}

/** Some servers read `_` as `-` and ignore space around a name: so do we before we compare. */
function normalize(name: string): string {
  return name.trim().toLowerCase().replaceAll('_', '-')
}
