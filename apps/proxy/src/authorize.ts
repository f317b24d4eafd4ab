import type { ConsoleOpen, KubeOpen, ServiceOpen } from '@agent/contracts'

/** What may pass: the answer, and why, in words for the audit record and the client. */
export type Decision =
  | { allow: true }
  | { allow: false; code: 'forbidden' | 'service-not-allowed' | 'bad-request'; reason: string }

/** A Service the cluster's administrator opened, `namespace/name:port`. */
export type AllowedServices = ReadonlySet<string>

export type Policy = {
  services: AllowedServices
  /** The API server lives below a path: what climbs out of it is another server's. */
  hasBasePath?: boolean
}

const allow: Decision = { allow: true }

/**
 * The only door: every request passes here before anything is sent. It reads the path as the API server will
 * (percent-decoded once, then split), so that no spelling gets another answer here than there.
 */
export function authorize(request: KubeOpen | ServiceOpen | ConsoleOpen, policy: Policy): Decision {
  if (request.kind === 'service') {
    return authorizeService(`${request.namespace}/${request.service}:${request.port}`, policy)
  }
  // The console asks the cluster's RBAC itself, for whoever comes which way.
  if (request.kind === 'console') return allow
  const path = pathOf(request.target)
  if (path === undefined) {
    return { allow: false, code: 'bad-request', reason: 'the path is not valid percent-encoding' }
  }
  if (policy.hasBasePath === true && path.includes('..')) {
    return { allow: false, code: 'bad-request', reason: 'the path climbs out of the API server’s' }
  }
  // An empty or dotted segment means something else to a server that cleans paths: both readings must be allowed.
  for (const segments of [path, clean(path)]) {
    const decision = authorizeSegments(segments, policy)
    if (!decision.allow) return decision
  }
  return allow
}

function authorizeSegments(segments: string[], policy: Policy): Decision {
  const [resource, name, subresource] = resourceOf(segments)
  if (resource === 'nodes' && subresource === 'proxy') {
    const reason =
      'nodes/proxy reaches the kubelet, which runs commands in any pod; it is never allowed'
    return { allow: false, code: 'forbidden', reason }
  }
  if (resource === 'services' && subresource === 'proxy') {
    return authorizeService(`${namespaceOf(segments)}/${serviceAndPort(name ?? '')}`, policy)
  }
  return allow
}

function authorizeService(service: string, policy: Policy): Decision {
  if (policy.services.has(service)) return allow
  return {
    allow: false,
    code: 'service-not-allowed',
    reason: `the Service ${service} is not on this agent’s list`,
  }
}

/** The decoded segments of the path, as `RequestInfoFactory` of the API server sees them. */
function pathOf(target: string): string[] | undefined {
  const path = target.split('?', 1)[0] as string
  if (/%(?![0-9a-f]{2})/i.test(path)) return undefined
  // Byte by byte, because Go also decodes what is not UTF-8.
  return path
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replace(/^\/+|\/+$/g, '')
    .split('/')
}

function clean(segments: string[]): string[] {
  const out: string[] = []
  for (const segment of segments) {
    if (segment === '..') out.pop()
    else if (segment !== '' && segment !== '.') out.push(segment)
  }
  return out
}

/** Resource, name and subresource: below /api/v1 or /apis/group/version, with or without a namespace or `watch`. */
function resourceOf(segments: string[]): (string | undefined)[] {
  const rest = afterVersion(segments)
  const [first, , ...inner] = rest
  const isNamespaced =
    first === 'namespaces' && inner.length > 0 && !isNamespaceSubresource(inner[0])
  const [resource, name, subresource] = isNamespaced ? inner : rest
  return [resource, name, isProxyVerb(segments) ? 'proxy' : subresource]
}

/** The old form `/api/v1/proxy/nodes/NAME`, which newer API servers no longer serve. */
function isProxyVerb(segments: string[]): boolean {
  return segments[segments[0] === 'apis' ? 3 : 2] === 'proxy'
}

function namespaceOf(segments: string[]): string {
  const [first, name] = afterVersion(segments)
  return first === 'namespaces' ? (name ?? '') : 'default'
}

function afterVersion(segments: string[]): string[] {
  const rest = segments.slice(segments[0] === 'apis' ? 3 : 2)
  return rest[0] === 'watch' || rest[0] === 'proxy' ? rest.slice(1) : rest
}

function isNamespaceSubresource(segment: string | undefined): boolean {
  return segment === 'status' || segment === 'finalize'
}

/**
 * `https:web:443` and `web:443` as `web:443`, read as the API server does (`SplitSchemeNamePort`): two parts are a name
 * and a port, whatever the name is. Without a port it is up to the Service which one is meant, so that is on no list.
 */
function serviceAndPort(name: string): string {
  const parts = name.split(':')
  const [service, port = ''] = parts.length === 3 ? parts.slice(1) : parts
  return `${service}:${port}`
}
