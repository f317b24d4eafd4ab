import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'

import { type AgentMessage, ControlPlaneMessage, defaultWindows, paths } from '@agent/contracts'
import { CommonConfig, createStatus, type Sidecar, version } from '@agent/sidecar'
import { FrameType, type Session, type StreamHandler } from '@agent/streams'
import { resolveTool } from '@agent/toolbox'
import { createMessageSocket, dialWebSocket, runSession } from '@agent/uplink'
import { pino } from 'pino'
import { Registry } from 'prom-client'

import { type Client, createClient } from './cli/client.ts'
import { Config } from './config.ts'
import { startControlPlane } from './control-plane.ts'

type Handler = Parameters<typeof runSession>[1]['handler']

/** A whole control plane in this process, with a data directory of its own. */
export type TestControlPlane = AsyncDisposable & {
  url: string
  port: number
  dir: string
  ca: string
  admin: Client
  metrics: Registry
  adminToken: string
  /** Registers a cluster and opens one stream connection for it. */
  connectAgent(cluster: string, onOpen: Handler['onOpen']): Promise<Session>
  /** A TLS connection on which nothing was said yet. */
  openSocket(): Promise<TLSSocket>
  /** What SIGTERM does. */
  stop(): Promise<void>
}

/** Starts it on a free port with nats-server as its child. */
export async function startTestControlPlane(
  settings: Record<string, string> = {},
): Promise<TestControlPlane> {
  const dir = await mkdtemp(join(tmpdir(), 'control-plane-'))
  const port = await freePort()
  const url = `https://localhost:${port}`
  const config = Config.parse({
    CONTROL_PLANE_HOST: '127.0.0.1',
    CONTROL_PLANE_PORT: port,
    CONTROL_PLANE_DATA_DIR: dir,
    CONTROL_PLANE_NATS_BIN: await resolveTool('nats-server'),
    ...settings,
  })
  const stopping = new AbortController()
  const scope = new AsyncDisposableStack()
  const who = { name: 'control-plane', instance: 'test', version }
  const metrics = new Registry()
  const log = pino({ level: 'silent' })
  const sidecar = {
    ...who,
    config: { ...config, ...CommonConfig.parse({}) },
    log,
    metrics,
    scope,
    signal: stopping.signal,
    status: createStatus(who, () => {}),
  }
  // All that the control plane uses of a sidecar: it has no bus.
  await startControlPlane(sidecar as Partial<Sidecar<Config>> as Sidecar<Config>)
  const caFile = join(dir, 'ca.crt')
  const tokenFile = join(dir, 'admin.token')
  const ca = await readFile(caFile, 'utf8')
  const admin = await createClient({ url, caFile, tokenFile })
  const stop = (): Promise<void> => {
    stopping.abort()
    return scope.disposeAsync()
  }
  return {
    url,
    port,
    dir,
    ca,
    admin,
    metrics,
    adminToken: (await readFile(tokenFile, 'utf8')).trim(),
    async connectAgent(cluster, onOpen) {
      const { token } = (await admin.call('POST', '/api/v1/agent-tokens', {})) as { token: string }
      const common = { ca, maxPayloadBytes: 2_097_152, signal: stopping.signal }
      const base = url.replace('https', 'wss')
      const control = createMessageSocket<typeof ControlPlaneMessage, AgentMessage>(
        await dialWebSocket({ ...common, url: base + paths.controlSocket, token }),
        ControlPlaneMessage,
      )
      const ticket = await new Promise<string>((resolve) => {
        control.onMessage = (message) => {
          if (message.type === 'register_success')
            control.send({ type: 'ticket_request', payload: { kind: 'proxy' } })
          if (message.type === 'ticket') resolve(message.payload.ticket)
        }
        const payload = { agent_id: 'agent', name: cluster, agent_version: version }
        control.send({ type: 'register', payload })
      })
      const socket = await dialWebSocket({
        ...common,
        url: base + paths.streamSocket,
        token: ticket,
      })
      const { session } = runSession(socket, {
        role: 'dialer',
        windows: defaultWindows,
        handler: { onOpen },
      })
      return session
    },
    openSocket: () =>
      new Promise((resolve, reject) => {
        // Such a client keeps its side open whatever the server does.
        const options = { port, host: 'localhost', ca, allowHalfOpen: true }
        const socket = connectTls(options, () => {
          socket.off('error', reject).on('error', () => {})
          resolve(socket)
        }).once('error', reject)
      }),
    stop,
    async [Symbol.asyncDispose]() {
      await stop()
      await rm(dir, { recursive: true })
    },
  }
}

/** An agent that answers every request with this. */
export function answerWith(status: number, body = Buffer.alloc(0)): Handler['onOpen'] {
  return (stream): StreamHandler => {
    const headers = ['Content-Length', String(body.length)]
    stream.sendHead(FrameType.head, { status, statusText: '', headers })
    stream.end(body)
    return { onData: (bytes) => stream.consume(bytes.length), onEnd() {}, onReset() {} }
  }
}

/** A port of loopback that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
