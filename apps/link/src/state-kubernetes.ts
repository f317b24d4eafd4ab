import { AgentError } from '@agent/contracts'
import { type ApiServer, callKube } from '@agent/kube'
import * as z from 'zod'

import type { State, StateStore } from './state.ts'

const Stored = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  data: z.record(z.string(), z.string()).default({}),
})
const maxConflicts = 5

/** State in a ConfigMap (ids) and a Secret (material), with the keys the earlier agent used. */
export function createKubernetesState(
  api: ApiServer,
  names: { namespace: string; configMap: string; secret: string },
): StateStore {
  const base = `/api/v1/namespaces/${names.namespace}`
  const ids = createObject(api, `${base}/configmaps`, 'ConfigMap', names.configMap)
  const material = createObject(api, `${base}/secrets`, 'Secret', names.secret)

  return {
    async load() {
      const data = await ids.read()
      const agentId = data?.['agent_id']
      if (data === undefined || agentId === undefined) return undefined
      const secret = await material.read()
      return {
        agentId,
        clusterId: data['cluster_id'] ?? null,
        clusterToken: decode(secret?.['cluster_token']),
      }
    },
    async claim(state: State) {
      const data = await ids.merge({ agent_id: state.agentId }, { onlyNew: true })
      return {
        ...state,
        agentId: data['agent_id'] as string,
        clusterId: data['cluster_id'] ?? null,
      }
    },
    async save({ agentId, clusterId, clusterToken }: State) {
      await ids.merge({
        agent_id: agentId,
        ...(clusterId === null ? {} : { cluster_id: clusterId }),
      })
      if (clusterToken === null) return
      await material.merge({ cluster_token: Buffer.from(clusterToken).toString('base64') })
    },
  }
}

function createObject(api: ApiServer, collection: string, kind: string, name: string) {
  const path = `${collection}/${name}`
  async function get(): Promise<z.infer<typeof Stored> | undefined> {
    const { status, body } = await callKube(api, { path })
    if (status === 404) return undefined
    if (status === 200) return Stored.parse(body)
    throw refused('read', status)
  }
  function refused(verb: string, status: number): AgentError {
    const code = status === 403 || status === 401 ? 'rbac-missing' : 'api-server-unreachable'
    return new AgentError(code, `the agent may not ${verb} ${kind} ${name} (${status})`)
  }
  async function create(data: Record<string, string>): Promise<number> {
    const metadata = { name, labels: { 'app.kubernetes.io/name': 'pipeops-agent' } }
    const body = { apiVersion: 'v1', kind, metadata, data }
    return (await callKube(api, { method: 'POST', path: collection, body })).status
  }
  /** A merge patch (RFC 7386) touches nothing it does not name; the version in it makes it a 409 if somebody wrote. */
  async function patch(
    { metadata: { resourceVersion } }: z.infer<typeof Stored>,
    data: Record<string, string>,
  ): Promise<number> {
    const call = {
      method: 'PATCH' as const,
      path,
      contentType: 'application/merge-patch+json',
      body: { metadata: { resourceVersion }, data },
    }
    return (await callKube(api, call)).status
  }
  return {
    read: async () => (await get())?.data,
    /**
     * Sets these keys and leaves all others; another writer in between is read again. `onlyNew` leaves keys that are
     * there, whatever their value. Returns the data as it is then.
     */
    async merge(
      values: Record<string, string>,
      { onlyNew = false } = {},
    ): Promise<Record<string, string>> {
      for (let attempt = 0; attempt < maxConflicts; attempt++) {
        const current = await get()
        const isDone = Object.entries(values).every(([key, value]) =>
          onlyNew ? current?.data[key] !== undefined : current?.data[key] === value,
        )
        if (current !== undefined && isDone) return current.data
        const status = await (current === undefined ? create(values) : patch(current, values))
        if (status < 300) return { ...current?.data, ...values }
        if (status !== 409) throw refused('write', status)
      }
      throw new AgentError('conflict', `${kind} ${name} keeps being changed by someone else`, {
        hop: 'api-server',
      })
    },
  }
}

function decode(value: string | undefined): string | null {
  return value === undefined ? null : Buffer.from(value, 'base64').toString('utf8')
}
