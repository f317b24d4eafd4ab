import { paths } from '@agent/contracts'

/** Where users reach a cluster's API server. */
export function kubectlUrl(publicUrl: string, cluster: string): string {
  return `${publicUrl}${paths.kubectlPrefix}${cluster}/proxy`
}

/** What we write of a kubeconfig. */
export type Kubeconfig = {
  clusters: [{ name: string; cluster: { server: string; 'certificate-authority-data'?: string } }]
  users: [{ name: string; user: { token?: string } }]
} & Record<'apiVersion' | 'kind' | 'current-context' | 'contexts', unknown>

/** A kubeconfig (JSON, which is YAML too) for one user and one cluster behind this control plane. */
export function createKubeconfig(options: {
  server: string
  ca: string | undefined
  cluster: string
  user: string
  token: string | undefined
}): Kubeconfig {
  const { server, ca, cluster, user, token } = options
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: cluster,
        cluster: {
          server,
          ...(ca === undefined
            ? {}
            : { 'certificate-authority-data': Buffer.from(ca).toString('base64') }),
        },
      },
    ],
    users: [{ name: user, user: token === undefined ? {} : { token } }],
    contexts: [{ name: cluster, context: { cluster, user } }],
    'current-context': cluster,
  }
}
