import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { eventually } from '@agent/testing'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'

import { createAgents } from './agents.ts'
import { createClusters } from './clusters.ts'
import { createSlowBucket } from './store/bucket.testing.ts'
import type { AgentTokenRecord, ClusterRecord } from './store/records.ts'
import type { Tickets } from './tickets.ts'

test('a removed cluster leaves nothing behind when its agent goes; a connection is one cluster’s', async () => {
  const clusters = createClusters(createSlowBucket<ClusterRecord>())
  const agents = createAgents({
    clusters,
    tokens: createSlowBucket<AgentTokenRecord>(),
    tickets: {} as Tickets,
    publicUrl: 'https://localhost',
    heartbeatSeconds: 30,
    log: pino({ level: 'silent' }),
  })
  await using server = createServer().listen(0, '127.0.0.1')
  server.on('upgrade', (request, socket, head) => {
    agents.accept(request, socket, head, { id: 't', hash: 'h', cluster: null, createdAt: '' })
  })
  await once(server, 'listening')
  const agent = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
  await once(agent, 'open')
  const register = async (name: string): Promise<string> => {
    const payload = { agent_id: 'a', name, agent_version: '1' }
    agent.send(JSON.stringify({ type: 'register', payload }))
    const [answer] = (await once(agent, 'message')) as [Buffer]
    return answer.toString()
  }

  expect(await register('east')).toContain('register_success')
  expect(await register('west')).toContain('bad-request')
  const { id } = clusters.find('east') as ClusterRecord
  expect(clusters.presence(id).agents).toBe(1)
  await clusters.remove(id)
  agents.removeCluster(id)
  await eventually(() => agents.connections === 0, { deadlineMs: 5_000, what: 'the cut' })
  expect(clusters.presence(id)).toMatchObject({ agents: 0, lastHeartbeat: undefined })
})
