import { setImmediate as turn } from 'node:timers/promises'

import { expect, test } from 'vitest'

import { createClusters } from './clusters.ts'
import type { AgentTokenRecord, ClusterRecord } from './store/records.ts'
import type { Bucket } from './store/store.ts'

const token: AgentTokenRecord = { id: 't', hash: 'h', cluster: null, createdAt: '' }
const agent = (name: string) => ({ agent_id: 'agent', agent_version: '1', name })

/** A bucket whose writes are seen a while after they were asked for; the first `failures` fail. */
function createSlowBucket(failures = 0): Bucket<ClusterRecord> {
  const records = new Map<string, ClusterRecord>()
  return {
    get: (key) => records.get(key),
    values: () => records.values(),
    async put(key, value) {
      await turn()
      if (failures-- > 0) throw new Error('the store is away')
      records.set(key, value)
    },
    async delete(key) {
      records.delete(key)
    },
    onChange: () => ({ [Symbol.dispose]() {} }),
  }
}

test('first registrations of one name at the same time make one cluster', async () => {
  const bucket = createSlowBucket(1)
  const clusters = createClusters(bucket)
  const [failed, ...rest] = await Promise.allSettled(
    ['east', 'east', 'east', 'west'].map((name) => clusters.register(agent(name), token)),
  )
  expect(failed).toMatchObject({ status: 'rejected' })
  expect(rest.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
  expect(clusters.list().map(({ name }) => name)).toEqual(['east', 'west'])
})

test('a cluster’s name fits a URL, and is never read as another cluster’s id', async () => {
  const clusters = createClusters(createSlowBucket())
  for (const name of ['East', 'a/b', '..', 'x'.repeat(64)]) {
    await expect(clusters.register(agent(name), token)).rejects.toMatchObject({
      code: 'bad-request',
    })
  }
  const east = await clusters.register(agent('east'), token)
  await expect(clusters.register(agent(east.id), token)).rejects.toMatchObject({ code: 'conflict' })
  expect(clusters.list()).toEqual([east])
})
