import { randomBytes } from 'node:crypto'

import type { RegisterSuccessPayload } from '@agent/contracts'

import type { State, StateStore } from './state.ts'

/** Who this agent is; what it learns is kept before it is used. */
export type Identity = {
  readonly state: State
  /** Takes what the control plane said at registration. */
  registered(answer: RegisterSuccessPayload): Promise<void>
}

/** The kept identity, else a new one. A given id wins over the kept one. */
export async function loadIdentity(
  store: StateStore,
  givenId: string | undefined,
  createId: () => string = () => `agent-${randomBytes(8).toString('hex')}`,
): Promise<Identity> {
  const kept = await store.load()
  let state: State = {
    agentId: givenId ?? kept?.agentId ?? createId(),
    clusterId: kept?.clusterId ?? null,
    clusterToken: kept?.clusterToken ?? null,
  }
  if (state.agentId !== kept?.agentId) await store.save(state)
  return {
    get state() {
      return state
    },
    async registered({ cluster_id: clusterId, token }) {
      const next = { ...state, clusterId, clusterToken: token ?? state.clusterToken }
      const isNews = next.clusterId !== state.clusterId || next.clusterToken !== state.clusterToken
      state = next
      if (isNews) await store.save(next)
    },
  }
}
