import { AgentError } from '@agent/contracts'
import * as z from 'zod'

const mount = '/var/run/secrets/kubernetes.io/serviceaccount'

/** How a sidecar finds the API server: the mounted ServiceAccount, given files, or a kubeconfig. */
export const KubeConfigFields = {
  KUBERNETES_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('The API server; default from KUBERNETES_SERVICE_HOST and _PORT.'),
  KUBERNETES_SERVICE_HOST: z.string().optional().describe('Set by Kubernetes in every pod.'),
  KUBERNETES_SERVICE_PORT: z.string().optional().describe('Set by Kubernetes in every pod.'),
  KUBERNETES_TOKEN_FILE: z
    .string()
    .default(`${mount}/token`)
    .describe('Bearer token for the API server; read again whenever it changes.'),
  KUBERNETES_CA_FILE: z
    .string()
    .default(`${mount}/ca.crt`)
    .describe('CA of the API server; read again whenever it changes.'),
  PIPEOPS_KUBECONFIG: z
    .string()
    .optional()
    .describe('Use this kubeconfig file instead of a ServiceAccount.'),
  PIPEOPS_KUBE_CONTEXT: z.string().optional().describe('Context within PIPEOPS_KUBECONFIG.'),
}

export type KubeConfig = z.infer<z.ZodObject<typeof KubeConfigFields>>

/** The API server's address from settings; throws `config-invalid` where there is none. */
export function apiServerUrl(config: KubeConfig): string {
  if (config.KUBERNETES_URL !== undefined) return config.KUBERNETES_URL
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = config
  if (host === undefined) {
    throw new AgentError(
      'config-invalid',
      'KUBERNETES_URL: is required outside a cluster (or set PIPEOPS_KUBECONFIG)',
    )
  }
  return `https://${host.includes(':') ? `[${host}]` : host}:${port ?? '443'}`
}
