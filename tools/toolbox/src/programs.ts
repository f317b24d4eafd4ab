/** Kubernetes programs are all built from one release. */
export const kubernetesVersion = '1.34.4'

/** How a program is found and, where nothing is found, built from source. */
export type Program = {
  name: string
  version: string
  /** Prints the version; undefined where any build will do. */
  versionArgs: string[]
  /** What of the printed version must match: `1.34` accepts every 1.34.x. */
  accepts: string
  /** Go package, and the module it is in. */
  go: { module: string; version: string; package: string; ldflags?: string }
}

const kubernetesLdflags = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version']
  .map((path) => `-X ${path}.gitVersion=v${kubernetesVersion}`)
  .join(' ')

function kubernetes(name: string): Program {
  return {
    name,
    version: kubernetesVersion,
    versionArgs: name === 'kubectl' ? ['version', '--client'] : ['--version'],
    accepts: `v${kubernetesVersion.split('.').slice(0, 2).join('.')}.`,
    go: {
      module: 'k8s.io/kubernetes',
      version: `v${kubernetesVersion}`,
      package: `k8s.io/kubernetes/cmd/${name}`,
      ldflags: kubernetesLdflags,
    },
  }
}

const list: Program[] = [
  {
    name: 'nats-server',
    version: '2.12.3',
    versionArgs: ['--version'],
    accepts: 'v2.12.',
    go: {
      module: 'github.com/nats-io/nats-server/v2',
      version: 'v2.12.3',
      package: 'github.com/nats-io/nats-server/v2',
    },
  },
  {
    name: 'etcd',
    version: '3.6.16',
    versionArgs: ['--version'],
    accepts: 'etcd Version: 3.6.',
    go: {
      module: 'go.etcd.io/etcd/server/v3',
      version: 'v3.6.16',
      package: 'go.etcd.io/etcd/server/v3',
    },
  },
  {
    name: 'kwok',
    version: '0.8.0',
    versionArgs: ['--version'],
    accepts: '0.8.',
    go: { module: 'sigs.k8s.io/kwok', version: 'v0.8.0', package: 'sigs.k8s.io/kwok/cmd/kwok' },
  },
  {
    name: 'helm',
    version: '4.3.1',
    versionArgs: ['version', '--short'],
    accepts: 'v4.',
    go: {
      module: 'helm.sh/helm/v4',
      version: 'v4.3.1',
      package: 'helm.sh/helm/v4/cmd/helm',
      ldflags: '-X helm.sh/helm/v4/internal/version.version=v4.3.1',
    },
  },
  ...[
    'kube-apiserver',
    'kubectl',
    'kube-controller-manager',
    'kube-scheduler',
    'kubelet',
    'kube-proxy',
  ].map(kubernetes),
]

/** Every program the toolbox knows. */
export const programs: ReadonlyMap<string, Program> = new Map(list.map((each) => [each.name, each]))
