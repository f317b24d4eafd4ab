import { expect, test } from 'vitest'

import { createClusters } from './clusters.ts'
import { createSlowBucket } from './store/bucket.testing.ts'
import type { AgentTokenRecord, ClusterRecord } from './store/records.ts'

const token: AgentTokenRecord = { id: 't', hash: 'h', cluster: null, createdAt: '' }
const agent = (name: string) => ({ agent_id: 'agent', agent_version: '1', name })

test('first registrations of one name at the same time make one cluster', async () => {
  const bucket = createSlowBucket<ClusterRecord>(1)
  const clusters = createClusters(bucket)
  const [failed, ...rest] = await Promise.allSettled(
    ['east', 'east', 'east', 'west'].map((name) => clusters.register(agent(name), token)),
  )
  expect(failed).toMatchObject({ status: 'rejected' })
  expect(rest.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
  expect(clusters.list().map(({ name }) => name)).toEqual(['east', 'west'])
})

test('a cluster’s name fits a URL, and is never read as another cluster’s id', async () => {
  const clusters = createClusters(createSlowBucket<ClusterRecord>())
  for (const name of ['East', 'a/b', '..', 'x'.repeat(64)]) {
    await expect(clusters.register(agent(name), token)).rejects.toMatchObject({
      code: 'bad-request',
    })
  }
  const east = await clusters.register(agent('east'), token)
  await expect(clusters.register(agent(east.id), token)).rejects.toMatchObject({ code: 'conflict' })
  expect(clusters.list()).toEqual([east])
})
