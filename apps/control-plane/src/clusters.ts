import { randomUUID } from 'node:crypto'

import { AgentError, type HeartbeatPayload, type RegisterPayload } from '@agent/contracts'

import { ClusterName } from './cluster-name.ts'
import type { AgentTokenRecord, ClusterRecord } from './store/records.ts'
import type { Bucket } from './store/store.ts'

/** What is known of a cluster beyond its record, while its agent is here. */
export type ClusterPresence = {
  /** Control connections of its agents. */
  agents: number
  connectedSince: string | undefined
  lastHeartbeat: { at: string; content: HeartbeatPayload } | undefined
  /** Agent's clock minus ours, in milliseconds. */
  clockSkewMs: number | undefined
}

/** The clusters that ever registered, and which of them are here. */
export type Clusters = {
  find(nameOrId: string): ClusterRecord | undefined
  list(): ClusterRecord[]
  /**
   * Finds or creates the cluster an agent speaks for; throws `credentials-refused` when its token is another's,
   * `bad-request` or `conflict` for a name that no URL could mean.
   */
  register(agent: RegisterPayload, token: AgentTokenRecord): Promise<ClusterRecord>
  remove(id: string): Promise<void>
  presence(id: string): ClusterPresence
}

/** Clusters over their bucket; a cluster's name is its identity, and tokens may be bound to it. */
export function createClusters(bucket: Bucket<ClusterRecord>): Clusters {
  const presences = new Map<string, ClusterPresence>()
  /** The last registration of each name that is under way: the next one waits, or it would make a second cluster. */
  const registering = new Map<string, Promise<unknown>>()
  function byName(name: string): ClusterRecord | undefined {
    for (const record of bucket.values()) if (record.name === name) return record
    return undefined
  }

  async function write(agent: RegisterPayload): Promise<ClusterRecord> {
    const known = byName(agent.name)
    const now = new Date().toISOString()
    const record: ClusterRecord = {
      id: known?.id ?? randomUUID(),
      name: agent.name,
      agentId: agent.agent_id,
      agentVersion: agent.agent_version,
      kubernetesVersion: agent.k8s_version ?? known?.kubernetesVersion ?? null,
      createdAt: known?.createdAt ?? now,
      registeredAt: now,
    }
    await bucket.put(record.id, record)
    return record
  }

  return {
    find: (nameOrId) => bucket.get(nameOrId) ?? byName(nameOrId),
    list: () => [...bucket.values()].toSorted((a, b) => a.name.localeCompare(b.name)),
    async register(agent, token) {
      if (token.cluster !== null && token.cluster !== agent.name) {
        throw new AgentError(
          'credentials-refused',
          `the agent token ${token.id} is bound to another cluster than ${agent.name}`,
        )
      }
      const { name } = agent
      const parsed = ClusterName.safeParse(name)
      if (!parsed.success) {
        const [issue] = parsed.error.issues
        throw new AgentError('bad-request', `the cluster’s name ${issue?.message}`)
      }
      if (bucket.get(name) !== undefined) {
        throw new AgentError('conflict', `the cluster’s name ${name} is another cluster’s id`)
      }
      const before = registering.get(name) ?? Promise.resolve()
      const done = before.then(() => write(agent))
      const settled = done.catch(() => {})
      registering.set(name, settled)
      await settled
      if (registering.get(name) === settled) registering.delete(name)
      return done
    },
    async remove(id) {
      await bucket.delete(id)
      presences.delete(id)
    },
    presence(id) {
      const known = presences.get(id)
      if (known !== undefined) return known
      const fresh: ClusterPresence = {
        agents: 0,
        connectedSince: undefined,
        lastHeartbeat: undefined,
        clockSkewMs: undefined,
      }
      presences.set(id, fresh)
      return fresh
    },
  }
}
