/** What a console needs to say; anything else could act on the whole origin, which is the control plane's. */
const passed = new Set([
  'cache-control',
  'connection',
  'content-encoding',
  'content-length',
  'content-security-policy',
  'content-type',
  'date',
  'etag',
  'referrer-policy',
  'retry-after',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-protocol',
  'upgrade',
  'vary',
  'www-authenticate',
  'x-accel-buffering',
  'x-content-type-options',
])
/** A redirect elsewhere would lead a script out of its path, past `connect-src` (CSP3 §7.7). */
const ownPage = /^[a-z]+$/

/**
 * The headers of a console's answer as a browser gets them. The page comes from a cluster and shares its origin with the
 * control plane and every other cluster's console: no cookie of its own, no worker, no window, and requests to nothing
 * but its own path.
 */
export function consoleAnswerHeaders(
  headers: readonly string[],
  { host, prefix }: { host: string | undefined; prefix: string },
): string[] {
  const out: string[] = []
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] as string
    const value = headers[at + 1] as string
    const key = name.toLowerCase()
    if (passed.has(key) || (key === 'location' && ownPage.test(value))) out.push(name, value)
  }
  return [...out, 'content-security-policy', confinement(host, prefix)]
}

function confinement(host: string | undefined, prefix: string): string {
  const isPlain = /^[\w.:[\]-]+$/.test(host ?? '') && /^[\w./-]+$/.test(prefix)
  const own = isPlain ? `https://${host}${prefix}` : "'none'"
  const socket = isPlain ? ` wss://${host}${prefix}` : ''
  return [
    "default-src 'none'",
    `script-src ${own}`,
    `style-src ${own}`,
    `img-src ${own} data:`.replace("'none' ", ''),
    `connect-src ${own}${socket}`,
    `form-action ${own}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
    'sandbox allow-scripts allow-same-origin allow-forms',
  ].join('; ')
}
