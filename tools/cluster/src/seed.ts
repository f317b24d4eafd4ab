const users = ['demo-admin', 'demo-viewer']
const groups = ['pipeops:admins', 'pipeops:viewers', 'system:authenticated']
const namespace = 'pipeops-system'

/** The agent's own identity and rights, and what the people behind it may do. */
export function agentObjects(): object[] {
  const labels = { 'app.kubernetes.io/name': 'pipeops-agent' }
  const role = 'rbac.authorization.k8s.io'
  const agent = { kind: 'ServiceAccount', name: 'pipeops-agent', namespace }
  const state = ['pipeops-agent-state']
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'pipeops-agent', namespace, labels },
    },
    {
      apiVersion: `${role}/v1`,
      kind: 'ClusterRole',
      metadata: { name: 'pipeops-agent', labels },
      rules: [
        { apiGroups: [''], resources: ['nodes', 'pods'], verbs: ['list', 'watch'] },
        {
          apiGroups: ['authentication.k8s.io'],
          resources: ['tokenreviews'],
          verbs: ['create'],
        },
        {
          apiGroups: ['authorization.k8s.io'],
          resources: ['subjectaccessreviews'],
          verbs: ['create'],
        },
        { apiGroups: ['metrics.k8s.io'], resources: ['nodes'], verbs: ['list'] },
        { apiGroups: [''], resources: ['users'], resourceNames: users, verbs: ['impersonate'] },
        { apiGroups: [''], resources: ['groups'], resourceNames: groups, verbs: ['impersonate'] },
      ],
    },
    {
      apiVersion: `${role}/v1`,
      kind: 'Role',
      metadata: { name: 'pipeops-agent-state', namespace, labels },
      rules: [
        {
          apiGroups: [''],
          resources: ['configmaps'],
          resourceNames: state,
          verbs: ['get', 'patch'],
        },
        {
          apiGroups: [''],
          resources: ['secrets'],
          resourceNames: ['pipeops-agent-secrets'],
          verbs: ['get', 'patch'],
        },
        // The API server does not know a new object's name when it authorizes a create.
        { apiGroups: [''], resources: ['configmaps', 'secrets'], verbs: ['create'] },
      ],
    },
    binding('ClusterRoleBinding', 'pipeops-agent', 'ClusterRole', 'pipeops-agent', agent),
    {
      ...binding('RoleBinding', 'pipeops-agent-state', 'Role', 'pipeops-agent-state', agent),
      metadata: { name: 'pipeops-agent-state', namespace },
    },
    binding(
      'ClusterRoleBinding',
      'pipeops-admins',
      'ClusterRole',
      'cluster-admin',
      group('pipeops:admins'),
    ),
    binding(
      'ClusterRoleBinding',
      'pipeops-viewers',
      'ClusterRole',
      'view',
      group('pipeops:viewers'),
    ),
  ]
}

function group(name: string): object {
  return { kind: 'Group', name, apiGroup: 'rbac.authorization.k8s.io' }
}

function binding(kind: string, name: string, roleKind: string, roleName: string, subject: object) {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind,
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: roleKind, name: roleName },
    subjects: [subject],
  }
}

const nodes = ['node-1', 'node-2', 'node-3']
const workloads: Record<string, string[]> = {
  shop: ['web', 'cart', 'catalog', 'checkout'],
  payments: ['api', 'ledger', 'fraud-check'],
  observability: ['prometheus', 'grafana'],
}

/** Nodes, namespaces and workloads to look at; pods are placed by hand, because no scheduler runs. */
export function demoObjects(): object[] {
  const apps = Object.entries(workloads).flatMap(([ns, names]) =>
    names.map((name) => ({ ns, name })),
  )
  return [
    ...nodes.map((name) => ({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name,
        annotations: { 'kwok.x-k8s.io/node': 'fake' },
        labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' },
      },
    })),
    ...Object.keys(workloads).map((name) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name },
    })),
    ...apps.flatMap(({ ns, name }, index) => [
      pod(ns, name, nodes[index % 3] as string),
      service(ns, name),
    ]),
  ]
}

function pod(ns: string, name: string, nodeName: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `${name}-0`, namespace: ns, labels: { app: name } },
    spec: {
      nodeName,
      containers: [
        { name, image: `example.invalid/${ns}/${name}:1`, ports: [{ containerPort: 8080 }] },
      ],
    },
  }
}

function service(ns: string, name: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: ns },
    spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] },
  }
}
