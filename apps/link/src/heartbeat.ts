import type { HeartbeatPayload } from '@agent/contracts'
import {
  type ApiServer,
  callKube,
  type CountWatch,
  readUsage,
  type Usage,
  watchCount,
} from '@agent/kube'
import { every } from '@agent/sidecar'

const slowFactsMs = 60_000

/** What the cluster looks like, kept current without listing it at each beat. */
export type ClusterFacts = {
  readonly kubernetesVersion: string | undefined
  readonly nodes: CountWatch
  readonly pods: CountWatch
  readonly usage: Usage | undefined
  /** Why a fact is missing or old, in words; empty when all is well. */
  readonly problem: string
  done: Promise<unknown>
}

/** Follows the cluster until the signal ends. */
export function followCluster(
  api: ApiServer,
  signal: AbortSignal,
  onCall: () => void,
): ClusterFacts {
  const nodes = watchCount(api, '/api/v1/nodes', signal)
  const pods = watchCount(api, '/api/v1/pods', signal)
  let kubernetesVersion: string | undefined
  let usage: Usage | undefined
  const slow = every(slowFactsMs, signal, async () => {
    try {
      onCall()
      const { body, status } = await callKube(api, { path: '/version', signal })
      if (status === 200) kubernetesVersion = (body as { gitVersion?: string }).gitVersion
      onCall()
      usage = await readUsage(api, signal)
    } catch {
      // The watches report an API server that is away; these facts just grow old.
    }
  })
  return {
    get kubernetesVersion() {
      return kubernetesVersion
    },
    get usage() {
      return usage
    },
    get problem() {
      return (nodes.problem ?? pods.problem)?.message ?? ''
    },
    nodes,
    pods,
    done: Promise.all([nodes.done, pods.done, slow]),
  }
}

/** The content of one beat. */
export function heartbeatOf(
  who: { agentId: string; clusterId: string; version: string },
  facts: ClusterFacts,
  streamConnections: number,
): HeartbeatPayload {
  const { usage, problem } = facts
  const reason = problem || (streamConnections === 0 ? 'no stream connection is up' : '')
  return {
    cluster_id: who.clusterId,
    agent_id: who.agentId,
    status: reason === '' ? 'healthy' : 'degraded',
    tunnel_status: streamConnections > 0 ? 'connected' : 'disconnected',
    metadata: {
      agent_version: who.version,
      k8s_version: facts.kubernetesVersion ?? null,
      k8s_nodes: facts.nodes.count,
      k8s_pods: facts.pods.count,
      cpu_usage: usageText(usage?.cpu),
      memory_usage: usageText(usage?.memory),
      connections: streamConnections,
      reason,
    },
  }
}

/** A share of allocatable as text, "12.5%"; null while it is unknown. */
export function usageText(share: number | undefined): string | null {
  return share === undefined || !Number.isFinite(share) ? null : `${(share * 100).toFixed(1)}%`
}
