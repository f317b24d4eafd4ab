import type * as https from 'node:https'

import { AgentError } from '@agent/contracts'

import type { TlsMaterial } from './api-server.ts'

/** What a kubeconfig's user proves itself with, at this moment. */
export type KubeCredentials = { authorization: string | undefined; tls: TlsMaterial }

/** One context of a kubeconfig. */
export type Kubeconfig = { url: URL; credentials(): Promise<KubeCredentials> }

/** Reads a kubeconfig; client-node is loaded only here, because it is large and most installations never need it. */
export async function readKubeconfig(
  file: string,
  context: string | undefined,
): Promise<Kubeconfig> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  try {
    config.loadFromFile(file)
  } catch (cause) {
    throw new AgentError('config-invalid', `PIPEOPS_KUBECONFIG: cannot read ${file}`, { cause })
  }
  if (context !== undefined) {
    if (config.getContextObject(context) === null) {
      const known = config.getContexts().map(({ name }) => name)
      throw new AgentError(
        'config-invalid',
        `PIPEOPS_KUBE_CONTEXT: ${file} has no context ${context}; it has ${known.join(', ') || 'none'}`,
      )
    }
    config.setCurrentContext(context)
  }
  const cluster = config.getCurrentCluster()
  if (cluster === null) {
    throw new AgentError('config-invalid', `PIPEOPS_KUBECONFIG: ${file} has no current cluster`)
  }
  return {
    url: new URL(cluster.server),
    async credentials() {
      const options: https.RequestOptions = {}
      await config.applyToHTTPSOptions(options)
      const headers = (options.headers ?? {}) as Record<string, string>
      const authorization =
        headers['Authorization'] ?? headers['authorization'] ?? basic(options.auth)
      return { authorization, tls: tlsOf(options) }
    },
  }
}

function tlsOf(options: https.RequestOptions): TlsMaterial {
  const { ca, cert, key, rejectUnauthorized, servername } = options
  return {
    ...(ca === undefined ? {} : { ca: text(ca) }),
    ...(cert === undefined ? {} : { cert: text(cert) }),
    ...(key === undefined ? {} : { key: text(key) }),
    ...(rejectUnauthorized === false ? { rejectUnauthorized } : {}),
    ...(servername === undefined ? {} : { servername }),
  }
}

function basic(auth: string | null | undefined): string | undefined {
  return auth ? `Basic ${Buffer.from(auth).toString('base64')}` : undefined
}

/** client-node hands out PEM as text or as bytes. */
function text(material: unknown): string {
  return Buffer.isBuffer(material) ? material.toString('utf8') : (material as string)
}
