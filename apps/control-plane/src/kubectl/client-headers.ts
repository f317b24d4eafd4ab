/** What a client may never say: it authenticates here, and identity is asserted by us. */
export function withoutIdentity(rawHeaders: string[]): string[] {
  const out: string[] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string
    const key = name.toLowerCase().replaceAll('_', '-')
    if (key === 'authorization' || key.startsWith('impersonate-')) continue
    // kubectl over WebSocket may carry the bearer token as a subprotocol (base64url.bearer.authorization.k8s.io.…).
    const value = rawHeaders[at + 1] as string
    if (key === 'sec-websocket-protocol') out.push(name, withoutBearer(value))
    else out.push(name, value)
  }
  return out
}

/** Headers less the cookies: a browser's session is a token for all of a user's clusters, and no cluster may see it. */
export function withoutCookie(headers: string[]): string[] {
  const out: string[] = []
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] as string
    if (name.toLowerCase() !== 'cookie') out.push(name, headers[at + 1] as string)
  }
  return out
}

const bearerProtocol = 'base64url.bearer.authorization.k8s.io.'

/** The token a browser sends as a WebSocket subprotocol, as an `Authorization` value. */
export function bearerProtocolOf(protocols: string | undefined): string | undefined {
  const item = protocols?.split(',').find((each) => each.trim().startsWith(bearerProtocol))
  if (item === undefined) return undefined
  return `Bearer ${Buffer.from(item.trim().slice(bearerProtocol.length), 'base64url').toString('utf8')}`
}

function withoutBearer(value: string): string {
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => !item.startsWith(bearerProtocol))
    .join(', ')
}
