import { hostname } from 'node:os'

import { tryControlPlane } from '@agent/checks'
import {
  AgentError,
  checkControlPlane,
  defaultWindows,
  getIdentity,
  type Heartbeat,
  identityChanged,
  issueTicket,
  maxControlMessageBytes,
  paths,
  type RegisterSuccessPayload,
  statusReported,
} from '@agent/contracts'
import { openApiServer } from '@agent/kube'
import { pause, readSecret, type Sidecar } from '@agent/sidecar'
import { connections, createBackoff, dialWebSocket } from '@agent/uplink'

import type { Config } from './config.ts'
import { followCluster, heartbeatOf } from './heartbeat.ts'
import { loadIdentity } from './identity.ts'
import { createApiCallCounter, createLinkMetrics } from './metrics.ts'
import { runLinkSession, type LinkSession } from './session.ts'
import { openStateStore } from './state-store.ts'
import { createStreamCensus } from './stream-census.ts'
import { beatFacts, tellBeat } from './tell-beat.ts'

const busIsAway = 'the pod’s bus is away, so no sidecar gets a ticket. Look at the nats container.'

/** Keeps the control connection: who this agent is, that it is alive, and tickets for whoever moves bytes. */
export async function startLink(sidecar: Sidecar<Config>): Promise<void> {
  const { config, bus, log, metrics, scope, signal, status } = sidecar
  const ca =
    config.PIPEOPS_CA_FILE === undefined
      ? undefined
      : await readSecret('PIPEOPS_CA_FILE', config.PIPEOPS_CA_FILE)
  const api = scope.use(await openApiServer(config))
  const apiCalls = createApiCallCounter(metrics)
  const facts = followCluster(api, signal, () => apiCalls.inc())
  const census = createStreamCensus()
  scope.use(bus.subscribe(statusReported, census.take))

  let session: LinkSession | undefined
  let streams: RegisterSuccessPayload['streams']
  let registered = false
  let problem = 'connecting to the control plane'
  let beat: Heartbeat | undefined
  const counters = createLinkMetrics(metrics, {
    registered: () => registered,
    streamConnections: census.count,
    facts,
  })
  const identity = await keepTrying(() =>
    openStateStore(config, api).then((store) => loadIdentity(store, config.PIPEOPS_AGENT_ID)),
  )
  if (identity === undefined) return

  /** State in the cluster can be out of reach for a while: that is no reason to die. */
  async function keepTrying<T>(task: () => Promise<T>): Promise<T | undefined> {
    const backoff = createBackoff()
    while (!signal.aborted) {
      try {
        return await task()
      } catch (cause) {
        const error = AgentError.from(cause, 'api-server')
        if (!error.retryable) throw error
        status.report('degraded', explain(error))
        log.warn({ code: error.code, reason: error.message }, 'state not readable')
        await pause(backoff.next(), signal)
      }
    }
    return undefined
  }

  /** The store may be out of reach while the control plane is not: the next heartbeat tries again. */
  async function keepIdentity(): Promise<void> {
    try {
      await identity?.keep()
    } catch (cause) {
      const { code, message, advice } = AgentError.from(cause, 'api-server')
      log.warn({ code, reason: message, advice }, 'identity not kept yet')
    }
  }

  function tell(): void {
    const { agentId, clusterId } = identity!.state
    const facts_ = {
      agentId,
      clusterId,
      clusterName: config.PIPEOPS_CLUSTER_NAME,
      controlPlane: new URL(config.PIPEOPS_API_URL).host,
      registered,
      connected: session !== undefined,
      streamsVersion: registered ? (streams?.version ?? null) : null,
      streamConnections: census.count(),
      ...beatFacts(facts, beat),
    }
    if (!bus.connected) status.report('degraded', busIsAway, facts_)
    else if (registered && problem === '') status.report('ok', '', facts_)
    else status.report('degraded', problem, facts_)
  }

  scope.use(
    bus.serve(issueTicket, async ({ kind }, ticketSignal) => {
      if (session === undefined) {
        throw new AgentError('unavailable', `not connected: ${problem}`, { hop: 'link' })
      }
      const ticket = await session.requestTicket(kind, ticketSignal)
      return {
        ...ticket,
        clusterId: identity.state.clusterId ?? '',
        windows: streams?.windows ?? defaultWindows,
      }
    }),
  )
  scope.use(
    bus.serve(checkControlPlane, async () => ({
      steps: await tryControlPlane({
        url: config.PIPEOPS_API_URL,
        token: await agentToken(config),
        ca,
      }),
    })),
  )
  scope.use(bus.serve(getIdentity, async () => currentIdentity()))

  function currentIdentity() {
    const { agentId, clusterId } = identity!.state
    return { agentId, clusterId, clusterName: config.PIPEOPS_CLUSTER_NAME, registered }
  }

  async function stayConnected(): Promise<void> {
    const url = `${config.PIPEOPS_API_URL.replace(/^http/, 'ws').replace(/\/+$/, '')}${paths.controlSocket}`
    const series = connections({
      dial: async (dialSignal) =>
        dialWebSocket({
          url,
          token: await agentToken(config),
          ca,
          maxPayloadBytes: maxControlMessageBytes,
          signal: dialSignal,
        }),
      backoff: createBackoff(),
      signal,
      onOutage(error, waitMs, isNews) {
        problem = explain(error)
        tell()
        const { code, hop, message, advice } = error
        if (!isNews) return
        log.warn({ code, hop, reason: message, advice, waitMs }, 'not connected')
        sidecar.tell('warn', 'connection', `no control connection: ${message}`)
      },
    })
    for await (const { connection, retryAfter } of series) {
      counters.registrations.inc()
      problem = 'registering'
      session = runLinkSession(connection, {
        register: () => ({
          agent_id: identity!.state.agentId,
          name: config.PIPEOPS_CLUSTER_NAME,
          ...(identity!.state.clusterId === null ? {} : { cluster_id: identity!.state.clusterId }),
          instance: sidecar.instance,
          agent_version: sidecar.version,
          ...(facts.kubernetesVersion === undefined
            ? {}
            : { k8s_version: facts.kubernetesVersion }),
          hostname: hostname(),
          features: { streams: 2 },
        }),
        heartbeat: () =>
          heartbeatOf(
            {
              agentId: identity!.state.agentId,
              clusterId: identity!.state.clusterId ?? '',
              version: sidecar.version,
            },
            facts,
            census.count(),
          ),
        intervalSeconds: config.PIPEOPS_HEARTBEAT_INTERVAL_SECONDS,
        signal,
        events: {
          async onRegistered(answer) {
            streams = answer.streams
            identity!.registered(answer)
            await keepIdentity()
            registered = true
            problem = 'waiting for the first heartbeat to be acknowledged'
            log.info({ clusterId: answer.cluster_id }, 'registered')
            sidecar.tell('info', 'registration', 'registered at the control plane')
            bus.publish(identityChanged, currentIdentity())
            tell()
          },
          onBeat(error, durationMs) {
            beat = tellBeat(bus, facts, error, durationMs)
            problem = error === undefined ? '' : explain(error)
            void keepIdentity()
            ;(error === undefined ? counters.beats : counters.beatErrors).inc()
            tell()
          },
          onUnknown(type) {
            counters.unknownMessages.inc()
            log.warn({ type }, 'unknown control message')
          },
        },
      })
      const reason = await session.ended
      session = undefined
      registered = false
      problem = explain(reason)
      bus.publish(identityChanged, currentIdentity())
      tell()
      if (signal.aborted) return
      log.warn({ code: reason.code, reason: reason.message }, 'control connection ended')
      sidecar.tell('warn', 'connection', `control connection ended: ${reason.message}`)
      if (reason.code === 'credentials-refused') throw reason
      retryAfter(reason.retryAfterMs ?? 0)
    }
  }

  stayConnected().catch((cause: unknown) => status.fatal(AgentError.from(cause, 'link')))
  const teller = setInterval(tell, 1_000)
  scope.defer(() => clearInterval(teller))
  scope.defer(async () => {
    session?.leave('the agent stops')
    await session?.ended
  })
}

async function agentToken(config: Config): Promise<string> {
  const { PIPEOPS_TOKEN_FILE: file, PIPEOPS_TOKEN: token } = config
  return file === undefined ? (token as string) : readSecret('PIPEOPS_TOKEN_FILE', file)
}

function explain(error: AgentError): string {
  return `${error.message} (hop: ${error.hop}). ${error.advice}`
}
