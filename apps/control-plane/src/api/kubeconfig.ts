import { paths } from '@agent/contracts'

/** A kubeconfig (JSON, which is YAML too) for one user and one cluster behind this control plane. */
export function createKubeconfig(options: {
  publicUrl: string
  ca: string | undefined
  cluster: string
  user: string
  token: string | undefined
}): object {
  const { publicUrl, ca, cluster, user, token } = options
  const server = `${publicUrl}${paths.kubectlPrefix}${cluster}/proxy`
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
