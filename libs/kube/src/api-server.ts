import { AgentError } from '@agent/contracts'
import { Agent, type Dispatcher } from 'undici'

import { apiServerUrl, type KubeConfig } from './config.ts'
import { type KubeCredentials, readKubeconfig } from './kubeconfig.ts'
import { watchFile } from './watched-file.ts'

/** The API server, as whoever talks to it needs it. */
export type ApiServer = AsyncDisposable & {
  /** `https://host:port`, without a path. */
  readonly origin: string
  /** A path before every API path (some hosted clusters have one); usually empty. */
  readonly basePath: string
  /** Keep-alive HTTP/1.1 connections that trust the current CA. Ask for each call: it changes on rotation. */
  dispatcher(): Dispatcher
  /** The current `Authorization` header; undefined where a client certificate speaks. */
  authorization(): string | undefined
}

/** Opens the API server that settings name; throws `config-invalid` where a file is missing. */
export async function openApiServer(config: KubeConfig): Promise<ApiServer> {
  return config.PIPEOPS_KUBECONFIG === undefined
    ? openWithFiles(config)
    : openWithKubeconfig(config.PIPEOPS_KUBECONFIG, config.PIPEOPS_KUBE_CONTEXT)
}

async function openWithFiles(config: KubeConfig): Promise<ApiServer> {
  const url = new URL(apiServerUrl(config))
  const pool = createPool()
  try {
    const token = await watchFile(config.KUBERNETES_TOKEN_FILE, () => {})
    const ca = await watchFile(config.KUBERNETES_CA_FILE, (text) => pool.trust({ ca: text }))
    pool.trust({ ca: ca.text })
    return {
      origin: url.origin,
      basePath: url.pathname.replace(/\/$/, ''),
      dispatcher: pool.current,
      authorization: () => `Bearer ${token.text}`,
      async [Symbol.asyncDispose]() {
        token[Symbol.dispose]()
        ca[Symbol.dispose]()
        await pool.close()
      },
    }
  } catch (cause) {
    const { path = 'a mounted file', code = 'unreadable' } = cause as NodeJS.ErrnoException
    throw new AgentError(
      'config-invalid',
      `KUBERNETES_TOKEN_FILE / KUBERNETES_CA_FILE: cannot read ${path} (${code})`,
      { cause },
    )
  }
}

const refreshMs = 30_000
/** Longer than the canary's five seconds, which so keep one connection warm; what a burst opened beyond it ends soon. */
const idleMs = 8_000

async function openWithKubeconfig(file: string, context: string | undefined): Promise<ApiServer> {
  const kubeconfig = await readKubeconfig(file, context)
  let credentials: KubeCredentials = await kubeconfig.credentials()
  const pool = createPool()
  pool.trust(credentials.tls)
  // Exec plugins and OIDC hand out short-lived tokens: client-node renews them when asked again.
  const timer = setInterval(() => {
    kubeconfig.credentials().then(
      (next) => {
        if (JSON.stringify(next.tls) !== JSON.stringify(credentials.tls)) pool.trust(next.tls)
        credentials = next
      },
      () => {},
    )
  }, refreshMs)
  timer.unref()
  return {
    origin: kubeconfig.url.origin,
    basePath: kubeconfig.url.pathname.replace(/\/$/, ''),
    dispatcher: pool.current,
    authorization: () => credentials.authorization,
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await pool.close()
    },
  }
}

/** TLS material for the API server, as PEM. */
export type TlsMaterial = {
  ca?: string
  cert?: string
  key?: string
  rejectUnauthorized?: boolean
  servername?: string
}

/** Connections under the current trust; the old ones end when their requests do. */
function createPool() {
  let agent: Agent | undefined
  const closing = new Set<Promise<void>>()
  function retire(old: Agent): void {
    const closed = old.close().catch(() => {})
    closing.add(closed)
    void closed.then(() => closing.delete(closed))
  }
  return {
    trust(tls: TlsMaterial): void {
      if (agent !== undefined) retire(agent)
      agent = new Agent({
        allowH2: false,
        pipelining: 1,
        // As many as a connection to the control plane may have streams.
        connections: 10_000,
        keepAliveTimeout: idleMs,
        keepAliveMaxTimeout: idleMs,
        maxHeaderSize: 65_536,
        connect: { ...tls, timeout: 10_000, keepAlive: true, keepAliveInitialDelay: 15_000 },
      })
    },
    current: (): Dispatcher => agent as Agent,
    async close(): Promise<void> {
      await agent?.destroy()
    },
  }
}
