import { expect, test } from 'vitest'

import { loadIdentity } from './identity.ts'
import type { State, StateStore } from './state.ts'

/** A store whose writes can be made to fail, as an API server that is away makes them. */
function createStore(kept?: State): StateStore & { kept: State | undefined; fails: boolean } {
  return {
    kept,
    fails: false,
    async load() {
      return this.kept
    },
    async claim(state) {
      this.kept ??= state
      return this.kept
    },
    async save(state) {
      if (this.fails) throw new Error('away')
      this.kept = state
    },
  }
}

test('what could not be kept is kept by the next try', async () => {
  const store = createStore()
  const identity = await loadIdentity(store, undefined, () => 'agent-1')
  identity.registered({ cluster_id: 'c-1' })
  store.fails = true
  await expect(identity.keep()).rejects.toThrow('away')
  expect(identity).toMatchObject({ isKept: false, state: { clusterId: 'c-1' } })
  store.fails = false
  await identity.keep()
  expect(store.kept).toMatchObject({ agentId: 'agent-1', clusterId: 'c-1' })
})

test('of two first starts one id wins for both', async () => {
  const store = createStore()
  const loadsNothing: StateStore = {
    load: async () => undefined,
    claim: (state) => store.claim(state),
    save: (state) => store.save(state),
  }
  const both = await Promise.all(
    ['agent-1', 'agent-2'].map((id) => loadIdentity(loadsNothing, undefined, () => id)),
  )
  expect(new Set(both.map(({ state }) => state.agentId)).size).toBe(1)
})
