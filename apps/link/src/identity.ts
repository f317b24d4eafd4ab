import { randomBytes } from 'node:crypto'

import type { RegisterSuccessPayload } from '@agent/contracts'

import type { State, StateStore } from './state.ts'

/** Who this agent is. */
export type Identity = {
  readonly state: State
  /** False while something is known that could not be kept yet. */
  readonly isKept: boolean
  /** Takes what the control plane said at registration; `keep` writes it down. */
  registered(answer: RegisterSuccessPayload): void
  /** Keeps what is not kept yet; throws where the store cannot be written, and may be called again. */
  keep(): Promise<void>
}

/** The kept identity, else a new one. A given id wins over the kept one. */
export async function loadIdentity(
  store: StateStore,
  givenId: string | undefined,
  createId: () => string = () => `agent-${randomBytes(8).toString('hex')}`,
): Promise<Identity> {
  let state = (await store.load()) ?? (await store.claim(newState(givenId ?? createId())))
  let isKept = true
  if (givenId !== undefined && state.agentId !== givenId) {
    state = { ...state, agentId: givenId }
    await store.save(state)
  }
  return {
    get state() {
      return state
    },
    get isKept() {
      return isKept
    },
    registered({ cluster_id: clusterId, token }) {
      const clusterToken = token ?? state.clusterToken
      if (clusterId === state.clusterId && clusterToken === state.clusterToken) return
      state = { ...state, clusterId, clusterToken }
      isKept = false
    },
    async keep() {
      if (isKept) return
      const saved = state
      await store.save(saved)
      isKept = state === saved
    },
  }
}

function newState(agentId: string): State {
  return { agentId, clusterId: null, clusterToken: null }
}
