import { AgentError } from '@agent/contracts'
import { Hono } from 'hono'
import * as z from 'zod'

import { ClusterName } from '../cluster-name.ts'
import type { Clusters } from '../clusters.ts'
import type { Access, Users } from '../ports.ts'
import type { AgentTokenRecord, ClusterRecord, UserTokenRecord } from '../store/records.ts'
import type { Bucket } from '../store/store.ts'
import type { StreamConnections } from '../stream-connections.ts'
import { createSecret, createTokenId, hashSecret } from '../users/secrets.ts'
import { mayUse, operatorsGroup } from '../users/users.ts'
import { createKubeconfig, kubectlUrl } from './kubeconfig.ts'

const Identity = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[\x21-\x7e]+$/, { error: 'must be printable ASCII' })
const NewUserToken = z.strictObject({
  user: Identity,
  groups: z.array(Identity).max(64).default([]),
  clusters: z.array(ClusterName).min(1).nullable().default(null),
  expiresInSeconds: z.int().min(1).max(315_360_000).nullable().default(null),
})
const NewAgentToken = z.strictObject({ cluster: ClusterName.nullable().default(null) })

export type RestDeps = {
  users: Users
  userTokens: Bucket<UserTokenRecord>
  agentTokens: Bucket<AgentTokenRecord>
  clusters: Clusters
  connections: StreamConnections
  publicUrl: string
  ca: string | undefined
  onClusterRemoved(id: string): void
}

type Env = { Variables: { access: Access } }

/** The REST API: clusters, tokens, kubeconfigs. Operators may change things; others see what is theirs. */
export function createRestApi(deps: RestDeps): Hono {
  const api = new Hono<Env>()
  api.use('*', async (c, next) => {
    const access = deps.users.authenticate(c.req.header('authorization'))
    if (access instanceof AgentError) throw access
    c.set('access', access)
    await next()
  })
  api.get('/whoami', (c) => {
    const { user, clusters, tokenId } = c.get('access')
    return c.json({ ...user, tokenId, clusters: clusters === '*' ? null : [...clusters] })
  })
  addClusters(api, deps)
  addTokens(api, deps)

  const app = new Hono()
  app.route('/api/v1', api)
  app.notFound((c) =>
    c.json(errorBody(new AgentError('not-found', `nothing at ${c.req.path}`)), 404),
  )
  app.onError((cause, c) => {
    const error =
      cause instanceof z.ZodError
        ? new AgentError('bad-request', z.prettifyError(cause))
        : AgentError.from(cause, 'control-plane')
    return c.json(errorBody(error), error.status as 400)
  })
  return app
}

function addClusters(api: Hono<Env>, deps: RestDeps): void {
  const { clusters, connections } = deps
  function describe(record: ClusterRecord): object {
    const presence = clusters.presence(record.id)
    const streams = connections.list(record.id)
    return {
      ...record,
      connected: presence.agents > 0 && streams.length > 0,
      agents: presence.agents,
      connectedSince: presence.connectedSince ?? null,
      streamConnections: streams,
      lastHeartbeat: presence.lastHeartbeat ?? null,
      clockSkewMs: presence.clockSkewMs ?? null,
    }
  }
  function find(access: Access, name: string): ClusterRecord {
    const record = clusters.find(name)
    if (record === undefined || !mayUse(access, record.name)) {
      throw new AgentError(
        'cluster-unknown',
        `there is no cluster ${name} that ${access.user.name} may use`,
      )
    }
    return record
  }
  api.get('/clusters', (c) => {
    const access = c.get('access')
    return c.json({
      clusters: clusters
        .list()
        .filter(({ name }) => mayUse(access, name))
        .map(describe),
    })
  })
  api.get('/clusters/:name', (c) => c.json(describe(find(c.get('access'), c.req.param('name')))))
  api.get('/clusters/:name/kubeconfig', (c) => {
    const access = c.get('access')
    const { name } = find(access, c.req.param('name'))
    const { publicUrl, ca } = deps
    const server = kubectlUrl(publicUrl, name)
    const { name: user } = access.user
    return c.json(createKubeconfig({ server, ca, cluster: name, user, token: undefined }))
  })
  api.delete('/clusters/:name', async (c) => {
    assertOperator(c.get('access'))
    const { id } = find(c.get('access'), c.req.param('name'))
    await clusters.remove(id)
    deps.onClusterRemoved(id)
    return c.body(null, 204)
  })
}

function addTokens(api: Hono<Env>, { userTokens, agentTokens }: RestDeps): void {
  api.get('/tokens', (c) => {
    assertOperator(c.get('access'))
    return c.json({ tokens: [...userTokens.values()].map(withoutHash) })
  })
  api.post('/tokens', async (c) => {
    assertOperator(c.get('access'))
    const input = NewUserToken.parse(await readJson(c.req))
    const token = createSecret('pat')
    const { expiresInSeconds: life } = input
    const record: UserTokenRecord = {
      id: createTokenId(),
      hash: hashSecret(token),
      user: input.user,
      groups: input.groups,
      clusters: input.clusters,
      createdAt: new Date().toISOString(),
      expiresAt: life === null ? null : new Date(Date.now() + life * 1_000).toISOString(),
    }
    await userTokens.put(record.hash, record)
    return c.json({ ...withoutHash(record), token }, 201)
  })
  api.delete('/tokens/:id', async (c) => {
    assertOperator(c.get('access'))
    return revoke(userTokens, c.req.param('id')).then(() => c.body(null, 204))
  })
  api.get('/agent-tokens', (c) => {
    assertOperator(c.get('access'))
    return c.json({ tokens: [...agentTokens.values()].map(withoutHash) })
  })
  api.post('/agent-tokens', async (c) => {
    assertOperator(c.get('access'))
    const { cluster } = NewAgentToken.parse(await readJson(c.req))
    const token = createSecret('pag')
    const record: AgentTokenRecord = {
      id: createTokenId(),
      hash: hashSecret(token),
      cluster,
      createdAt: new Date().toISOString(),
    }
    await agentTokens.put(record.hash, record)
    return c.json({ ...withoutHash(record), token }, 201)
  })
  api.delete('/agent-tokens/:id', async (c) => {
    assertOperator(c.get('access'))
    return revoke(agentTokens, c.req.param('id')).then(() => c.body(null, 204))
  })
}

async function revoke<T extends { id: string; hash: string }>(
  bucket: Bucket<T>,
  id: string,
): Promise<void> {
  const record = [...bucket.values()].find((each) => each.id === id)
  if (record === undefined) throw new AgentError('not-found', `there is no token ${id}`)
  await bucket.delete(record.hash)
}

function assertOperator(access: Access): void {
  if (access.user.groups.includes(operatorsGroup)) return
  throw new AgentError('forbidden', `${access.user.name} is not in the group ${operatorsGroup}`, {
    hop: 'control-plane',
  })
}

async function readJson(request: { text(): Promise<string> }): Promise<unknown> {
  try {
    return JSON.parse((await request.text()) || '{}')
  } catch (cause) {
    throw new AgentError('bad-request', 'the body is not JSON', { cause })
  }
}

function withoutHash<T extends { hash: string }>({ hash: _, ...rest }: T): Omit<T, 'hash'> {
  return rest
}

function errorBody({ message, code, hop, advice }: AgentError): object {
  return { error: message, code, hop, advice }
}
