import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

import { type Cluster, startEmbeddedCluster } from '@agent/cluster'
import { startStack, type Stack, type StackOptions } from '@agent/stack'
import {
  assertBackToBaseline,
  type Census,
  type FaultProxy,
  mostOf,
  startFaultProxy,
  takeCensus,
} from '@agent/testing'
import { Agent, getGlobalDispatcher, request, setGlobalDispatcher } from 'undici'

const run = promisify(execFile)
const callMs = 15_000
const idleSamples = 8
const idleSampleMs = 250

/** An answer, byte for byte. */
export type Answer = {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Buffer
}

/** The whole product against a real API server, and both ways to it. */
export type System = AsyncDisposable & {
  cluster: Cluster
  stack: Stack
  dir: string
  /** Stock kubectl, through the tunnel or straight to the API server. */
  kubectl(via: 'tunnel' | 'direct', ...args: string[]): Promise<string>
  call(via: 'tunnel' | 'direct', options: CallOptions): Promise<Answer>
  /** Asks the control plane for a path of its own, as the demo user. */
  callPath(path: string): Promise<Answer>
  /** A watch through the tunnel, open until something ends it. */
  watch(token?: string): Promise<OpenWatch>
  /** Ends our own connections and waits until no process holds more than right after the start. */
  backToStart(): Promise<void>
}

export type CallOptions = {
  path: string
  method?: string
  headers?: Record<string, string | string[]>
  body?: string | Buffer
  token?: string
  timeoutMs?: number
}

/** A watch that runs: how it ended, once it did. */
export type OpenWatch = AsyncDisposable & {
  readonly isOpen: boolean
  /** Resolves when the watch ended, with why. */
  ended: Promise<string>
  readonly events: number
}

/** Starts cluster and stack in a directory of their own. */
export async function startSystem(
  options: Partial<StackOptions> = {},
  startCluster: (options: { dir: string }) => Promise<Cluster> = startEmbeddedCluster,
): Promise<System> {
  const dir = await mkdtemp(join(tmpdir(), 'pipeops-test-'))
  await using scope = new AsyncDisposableStack()
  scope.defer(() => rm(dir, { recursive: true, force: true }))
  const cluster = scope.use(await startCluster({ dir: join(dir, 'cluster') }))
  const stack = scope.use(await startStack({ dir: join(dir, 'stack'), cluster, ...options }))
  const direct = await directClient(cluster)
  scope.defer(() => direct.dispatcher.destroy())
  const ca = await readFile(stack.caFile, 'utf8')
  const newPool = (): Agent => new Agent({ connect: { ca } })
  let tunnel = newPool()
  scope.defer(() => tunnel.destroy())
  const base = `/api/v1/clusters/agent/${stack.clusterName}/proxy`
  const take = (name: string): Promise<Census> => censusOf(stack, name)
  async function baseline(): Promise<Map<string, Census>> {
    const most = new Map<string, Census>()
    // What comes and goes while it is idle, a scrape or a beat, is allowed later too.
    for (let turn = 0; turn < idleSamples; turn++) {
      for (const name of stack.processes.keys()) {
        most.set(name, mostOf(await take(name), most.get(name) ?? {}))
      }
      await delay(idleSampleMs)
    }
    return most
  }
  async function disconnect(): Promise<void> {
    const old = [tunnel, getGlobalDispatcher()]
    tunnel = newPool()
    // That of `fetch`: servers let it keep connections for a minute.
    setGlobalDispatcher(new Agent())
    await Promise.all(old.map((pool) => pool.destroy()))
  }
  const atStart = await baseline()

  const owned = scope.move()
  return {
    cluster,
    stack,
    dir,
    async kubectl(via, ...args) {
      const kubeconfig = via === 'tunnel' ? stack.kubeconfig : cluster.adminKubeconfig
      const { stdout } = await run(cluster.kubectl, ['--kubeconfig', kubeconfig, ...args], {
        timeout: 30_000,
        maxBuffer: 2 ** 26,
        env: { ...process.env, HOME: dir },
      })
      return stdout
    },
    async call(via, { path, method = 'GET', headers = {}, body, token, timeoutMs = callMs }) {
      const isTunnel = via === 'tunnel'
      const {
        statusCode,
        headers: answered,
        body: answer,
      } = await request((isTunnel ? stack.controlPlaneUrl + base : cluster.url) + path, {
        method: method,
        dispatcher: isTunnel ? tunnel : direct.dispatcher,
        headers: {
          ...headers,
          ...(isTunnel ? { authorization: `Bearer ${token ?? stack.userToken}` } : direct.headers),
        },
        body: body ?? null,
        signal: AbortSignal.timeout(timeoutMs),
      })
      return {
        status: statusCode,
        headers: answered,
        body: Buffer.from(await answer.arrayBuffer()),
      }
    },
    async callPath(path) {
      const answer = await request(stack.controlPlaneUrl + path, {
        dispatcher: tunnel,
        headers: { authorization: `Bearer ${stack.userToken}` },
        signal: AbortSignal.timeout(callMs),
      })
      const body = Buffer.from(await answer.body.arrayBuffer())
      return { status: answer.statusCode, headers: answer.headers, body }
    },
    async watch(token) {
      const abort = new AbortController()
      const { body } = await request(`${stack.controlPlaneUrl}${base}/api/v1/pods?watch=1`, {
        dispatcher: tunnel,
        headers: { authorization: `Bearer ${token ?? stack.userToken}` },
        signal: abort.signal,
      })
      const state = { isOpen: true, events: 0 }
      const ended = (async () => {
        try {
          for await (const chunk of body) state.events += String(chunk).split('\n').length - 1
          return 'in good order'
        } catch (error) {
          return (error as Error).message
        } finally {
          state.isOpen = false
        }
      })()
      return {
        ended,
        get isOpen() {
          return state.isOpen
        },
        get events() {
          return state.events
        },
        async [Symbol.asyncDispose]() {
          abort.abort()
          await ended
        },
      }
    },
    async backToStart() {
      await disconnect()
      // Idle connections to the API server are kept for 8 s.
      await assertBackToBaseline(atStart, { deadlineMs: 30_000, take })
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

const timersMetric = /^nodejs_active_resources\{type="Timeout"\} (\d+)/m
const streamsMetric =
  /^(?:pipeops_proxy_streams|pipeops_control_plane_active_requests|pipeops_tunnel_forwards_active) (\d+)/m
const subscriptionsMetric = /^pipeops_bus_subscriptions (\d+)/m

/** Sockets, files and children as the kernel sees them; timers, streams and subscriptions as the process counts them. */
async function censusOf(stack: Stack, name: string): Promise<Census> {
  const pid = stack.processes.get(name)?.pid
  if (pid === undefined) throw new Error(`${name} does not run`)
  const metrics = await stack.metrics(name)
  const read = (metric: RegExp): number => Number(metric.exec(metrics)?.[1] ?? 0)
  return {
    ...(await takeCensus(pid)),
    timers: read(timersMetric),
    streams: read(streamsMetric),
    subscriptions: read(subscriptionsMetric),
  }
}

/** The same, with a path to the control plane that the test can cut and silence; the test disposes of both. */
export async function startSystemOverFaults(
  options: Partial<StackOptions> = {},
): Promise<{ system: System; path: FaultProxy }> {
  let path: Promise<FaultProxy> | undefined
  const system = await startSystem({
    ...options,
    agentDials: async (port) => {
      path ??= startFaultProxy(port)
      return (await path).port
    },
  })
  if (path === undefined) throw new Error('the agent was not told where to dial')
  return { system, path: await path }
}

/** Straight to the API server, as the same user that the tunnel acts as. */
async function directClient(cluster: Cluster) {
  const config = JSON.parse(await readFile(cluster.adminKubeconfig, 'utf8')) as {
    users: [{ user: { 'client-certificate-data': string; 'client-key-data': string } }]
  }
  const { user } = config.users[0]
  const pem = (data: string): string => Buffer.from(data, 'base64').toString('utf8')
  const dispatcher = new Agent({
    // The same HTTP version on both ways: Go frames small answers differently in HTTP/2.
    allowH2: false,
    connect: {
      ca: await readFile(cluster.caFile, 'utf8'),
      cert: pem(user['client-certificate-data']),
      key: pem(user['client-key-data']),
    },
  })
  return {
    dispatcher,
    headers: { 'impersonate-user': 'demo-admin', 'impersonate-group': 'pipeops:admins' },
  }
}
