import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { AgentError } from '@agent/contracts'
import type { Sidecar } from '@agent/sidecar'

import { createAgents } from './agents.ts'
import { createRestApi } from './api/rest.ts'
import { createClusters } from './clusters.ts'
import type { Config } from './config.ts'
import { createKubectlEndpoint } from './kubectl/endpoint.ts'
import { createControlPlaneMetrics } from './metrics.ts'
import { replaceFile } from './replace-file.ts'
import { prepareServerEnd } from './server-end.ts'
import { createApiServer, listen } from './server.ts'
import { externalNats } from './store/external-nats.ts'
import { startNatsChild } from './store/nats-child.ts'
import { AgentTokenRecord, ClusterRecord, UserTokenRecord } from './store/records.ts'
import { type Bucket, openStore } from './store/store.ts'
import { createStreamConnections } from './stream-connections.ts'
import { createTickets } from './tickets.ts'
import { followTls } from './tls-reload.ts'
import { keepGeneratedTls, readGivenTls, type ServingTls } from './tls.ts'
import { createSecret, createTokenId, hashSecret } from './users/secrets.ts'
import { followTokenFile } from './users/static-tokens.ts'
import { createUsers, operatorsGroup } from './users/users.ts'

const retryAfterDrainMs = 1_000
const statusMs = 1_000
/** Kept of the grace for what comes after the drain: sockets, store, nats-server. */
const closingMs = 8_000

/** Starts the control plane: state, agents, kubectl, REST, all on one port. */
export async function startControlPlane(sidecar: Sidecar<Config>): Promise<void> {
  const { config, log, scope, status } = sidecar
  const dir = config.CONTROL_PLANE_DATA_DIR
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const nats =
    config.CONTROL_PLANE_NATS_URL === undefined
      ? scope.use(await startNatsChild({ program: config.CONTROL_PLANE_NATS_BIN, dir, log }))
      : await externalNats(config.CONTROL_PLANE_NATS_URL, config.CONTROL_PLANE_NATS_TOKEN_FILE)
  const store = scope.use(await openStore({ ...nats, log }))
  const userTokens = await store.open('user-tokens', UserTokenRecord)
  const agentTokens = await store.open('agent-tokens', AgentTokenRecord)
  const clusters = createClusters(await store.open('clusters', ClusterRecord))
  const tickets = await createTickets(store)
  await createFirstAdmin(join(dir, 'admin.token'), userTokens)

  const publicUrl = (
    config.CONTROL_PLANE_PUBLIC_URL ?? `https://localhost:${config.CONTROL_PLANE_PORT}`
  ).replace(/\/+$/, '')
  const readTls = (): Promise<ServingTls> => servingTls(config, publicUrl)
  const tls = await readTls()
  const staticTokens = scope.use(await followTokenFile(config.CONTROL_PLANE_TOKENS_FILE, log))
  const users = scope.use(createUsers(userTokens, staticTokens))
  const connections = createStreamConnections(log)
  const agents = createAgents({
    clusters,
    tokens: agentTokens,
    tickets,
    publicUrl,
    heartbeatSeconds: config.CONTROL_PLANE_HEARTBEAT_SECONDS,
    log,
  })
  const metrics = createControlPlaneMetrics(sidecar.metrics, {
    agents: () => agents.connections,
    streamConnections: () => connections.count,
    activeRequests: () => kubectl.active,
  })
  const graceMs = config.SHUTDOWN_GRACE_SECONDS * 1_000
  const waitMs = config.CONTROL_PLANE_WAIT_SECONDS * 1_000
  const kubectl = scope.use(
    createKubectlEndpoint({ users, clusters, connections, metrics, waitMs }),
  )
  scope.use(
    agentTokens.onChange((_key, value, before) => {
      if (value !== undefined || before === undefined) return
      agents.revoke(before.id)
      const error = new AgentError('connection-lost', 'the agent’s token was revoked')
      connections.cut(({ agentTokenId }) => agentTokenId === before.id, error)
    }),
  )

  const server = createApiServer({
    tls,
    kubectl,
    agents,
    connections,
    tickets,
    agentTokenIsValid: (id) => [...agentTokens.values()].some((token) => token.id === id),
    rest: createRestApi({
      users,
      userTokens,
      agentTokens,
      clusters,
      connections,
      publicUrl,
      ca: tls.ca,
      onClusterRemoved(id) {
        agents.removeCluster(id)
        const error = new AgentError('connection-lost', 'the cluster was removed')
        connections.cut(({ clusterId }) => clusterId === id, error)
      },
    }),
  })
  const serverEnd = prepareServerEnd(server)
  const port = await listen(server, config.CONTROL_PLANE_HOST, config.CONTROL_PLANE_PORT)
  log.info({ port, publicUrl }, 'listening')
  void followTls(server, tls, readTls, { log, signal: sidecar.signal })
  const report = (): void => {
    const facts = { agents: agents.connections, streamConnections: connections.count }
    if (store.connected) status.report('ok', '', facts)
    else
      status.report('degraded', 'the store is away: nothing can be changed, traffic goes on', facts)
  }
  report()
  const reporter = setInterval(report, statusMs)
  scope.defer(async () => {
    clearInterval(reporter)
    await serverEnd.close(async () => {
      agents.drain('the control plane stops', retryAfterDrainMs)
      connections.drain()
      await kubectl.drained(Math.max(graceMs / 2, graceMs - closingMs))
      connections.cut(() => true, new AgentError('draining', 'the control plane stops'))
    })
  })
}

async function servingTls(config: Config, publicUrl: string): Promise<ServingTls> {
  const { CONTROL_PLANE_TLS_CERT_FILE: cert, CONTROL_PLANE_TLS_KEY_FILE: key } = config
  if ((cert === undefined) !== (key === undefined)) {
    throw new AgentError(
      'config-invalid',
      'CONTROL_PLANE_TLS_CERT_FILE, CONTROL_PLANE_TLS_KEY_FILE: give both or neither',
    )
  }
  if (cert !== undefined && key !== undefined) return readGivenTls(cert, key)
  const host = new URL(publicUrl).hostname.replace(/^\[|\]$/g, '')
  return keepGeneratedTls(config.CONTROL_PLANE_DATA_DIR, [host])
}

/** The first operator's token, in a file that only we can read; a deleted token is not made again. */
async function createFirstAdmin(file: string, tokens: Bucket<UserTokenRecord>): Promise<void> {
  if (!tokens.values().next().done) return
  const secret = createSecret('pat')
  await replaceFile(file, `${secret}\n`)
  await tokens.put(hashSecret(secret), {
    id: createTokenId(),
    hash: hashSecret(secret),
    user: 'admin',
    groups: [operatorsGroup],
    clusters: null,
    createdAt: new Date().toISOString(),
    expiresAt: null,
  })
}
