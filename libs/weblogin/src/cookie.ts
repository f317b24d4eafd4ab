/** Where a session cookie holds. */
export type SessionCookie = {
  name: string
  /** URL path it is sent to, and nowhere else. */
  path: string
  isSecure: boolean
}

/** `Set-Cookie` for a bearer token: out of scripts' reach, sent by no other site's pages (RFC 6265bis §5.6.7). */
export function setSessionCookie({ name, path, isSecure }: SessionCookie, token: string): string {
  const secure = isSecure ? '; Secure' : ''
  return `${name}=${encodeURIComponent(token)}; Path=${escapePath(path)}; HttpOnly; SameSite=Strict; Max-Age=28800${secure}`
}

/** `Set-Cookie` that ends the session. */
export function clearSessionCookie({ name, path, isSecure }: SessionCookie): string {
  return `${name}=; Path=${escapePath(path)}; HttpOnly; SameSite=Strict; Max-Age=0${isSecure ? '; Secure' : ''}`
}

/** The token in a `Cookie` header; undefined when there is none. */
export function readSessionCookie(header: string | undefined, name: string): string | undefined {
  const item = header?.split(';').find((each) => each.trim().startsWith(`${name}=`))
  if (item === undefined) return undefined
  try {
    return decodeURIComponent(item.trim().slice(name.length + 1)) || undefined
  } catch {
    return undefined
  }
}

/** Whether a request that carries a cookie was made by a page of the same origin; without `Origin` it was no page's. */
export function isSameOrigin(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return true
  try {
    return new URL(origin).host === host
  } catch {
    return false
  }
}

/** A `;` in the path would end it and begin an attribute. */
function escapePath(path: string): string {
  return path.replaceAll(';', '%3B')
}
