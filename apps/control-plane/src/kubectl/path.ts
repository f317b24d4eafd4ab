import { AgentError, paths } from '@agent/contracts'

const marker = '/proxy'
const maxTargetBytes = 16_384

/** What a kubectl URL asks for: a cluster, and the path and query for its API server, untouched. */
export type KubectlPath = { cluster: string; target: string }

/** Splits `/api/v1/clusters/agent/<cluster>/proxy/<target>`; undefined for any other URL, an error for a bad one. */
export function parseKubectlPath(url: string): KubectlPath | AgentError | undefined {
  if (!url.startsWith(paths.kubectlPrefix)) return undefined
  const end = url.indexOf('/', paths.kubectlPrefix.length)
  if (end < 0 || !url.startsWith(marker, end)) return undefined
  const rest = url.slice(end + marker.length)
  if (rest !== '' && rest[0] !== '/' && rest[0] !== '?') return undefined
  const target = rest[0] === '/' ? rest : `/${rest}`
  if (target.length > maxTargetBytes) {
    return new AgentError(
      'path-too-long',
      `path and query have ${target.length} bytes, ${maxTargetBytes} are allowed`,
    )
  }
  return { cluster: url.slice(paths.kubectlPrefix.length, end), target }
}
