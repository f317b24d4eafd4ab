import { AgentError, paths } from '@agent/contracts'

const markers = { kube: '/proxy', console: '/agent' } as const
const maxTargetBytes = 16_384

/** What a URL of a cluster asks for: whose path and query `target` is, untouched. */
export type ClusterPath = {
  cluster: string
  /** `kube`: the cluster's API server; `console`: its agent's diagnostics console. */
  kind: keyof typeof markers
  /** Everything before `target`, with a slash at its end. */
  prefix: string
  target: string
}

/**
 * Splits `/api/v1/clusters/agent/<cluster>/proxy/<target>` (and `…/agent/<target>`, for the console); undefined for any
 * other URL, an error for a bad one.
 */
export function parseClusterPath(url: string): ClusterPath | AgentError | undefined {
  if (!url.startsWith(paths.kubectlPrefix)) return undefined
  const end = url.indexOf('/', paths.kubectlPrefix.length)
  if (end < 0) return undefined
  for (const kind of ['kube', 'console'] as const) {
    const marker = markers[kind]
    if (!url.startsWith(marker, end)) continue
    const from = end + marker.length
    const rest = url.slice(from)
    if (rest !== '' && rest[0] !== '/' && rest[0] !== '?') return undefined
    const target = rest[0] === '/' ? rest : `/${rest}`
    if (target.length > maxTargetBytes) {
      return new AgentError(
        'path-too-long',
        `path and query have ${target.length} bytes, ${maxTargetBytes} are allowed`,
      )
    }
    const cluster = url.slice(paths.kubectlPrefix.length, end)
    return { cluster, kind, prefix: `${url.slice(0, from)}/`, target }
  }
  return undefined
}
