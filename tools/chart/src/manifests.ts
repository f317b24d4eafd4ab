import { parseAllDocuments, type YAMLMap } from 'yaml'

import type { ChartName, Helm } from './helm.ts'

type Manifest = {
  file: string
  chart: ChartName
  release: string
  namespace: string
  /** Stands at the head of the file: what to do with it. */
  usage: string[]
  values: object
}

/** The bus token is made in the pod: a manifest cannot make a secret, and one that came with it would be none. */
const plain = { agent: { cluster: { name: 'default-cluster' } }, nats: { tokenFrom: 'pod' } }
const agentRights = [
  'Nobody may come through yet: add the users and groups of your control plane to the ClusterRole',
  'pipeops-system:pipeops-agent, as',
  '  - { apiGroups: [""], resources: [users], resourceNames: [alice@example.com], verbs: [impersonate] }',
  '  - { apiGroups: [""], resources: [groups], resourceNames: [developers], verbs: [impersonate] }',
  'and bind those users to what they may do. The chart does both: deploy/chart/README.md.',
]
const agent = { chart: 'agent', release: 'pipeops-agent', namespace: 'pipeops-system' } as const

/** The plain manifests, each one rendering of a chart. */
export const manifests: Manifest[] = [
  {
    ...agent,
    file: 'agent.yaml',
    usage: [
      'The agent, with its token in a Secret that you made before:',
      '  kubectl create namespace pipeops-system',
      '  kubectl create secret generic pipeops-agent-token --from-file=token=FILE -n pipeops-system',
      '  sed \'s/PIPEOPS_CLUSTER_NAME: "default-cluster"/PIPEOPS_CLUSTER_NAME: "NAME"/\' agent.yaml | kubectl apply -f -',
      ...agentRights,
    ],
    values: {
      ...plain,
      agent: { ...plain.agent, pipeops: { existingSecret: 'pipeops-agent-token' } },
    },
  },
  {
    ...agent,
    file: 'k8-agent.yaml',
    usage: [
      'The agent in one step; `your-token-here` and `default-cluster` are to be replaced on the way. So that the token',
      'stands on no command line, and (--server-side) in no annotation:',
      '  sed -f /dev/stdin k8-agent.yaml <<EOF | kubectl apply --server-side -f -',
      '  s|token: "your-token-here"|token: "$PIPEOPS_TOKEN"|',
      '  s|PIPEOPS_CLUSTER_NAME: "default-cluster"|PIPEOPS_CLUSTER_NAME: "$PIPEOPS_CLUSTER_NAME"|',
      '  EOF',
      ...agentRights,
    ],
    values: { ...plain, agent: { ...plain.agent, pipeops: { token: 'your-token-here' } } },
  },
  {
    file: 'control-plane.yaml',
    chart: 'controlPlane',
    release: 'pipeops-control-plane',
    namespace: 'pipeops-control-plane',
    usage: [
      'The control plane, reachable inside its cluster as',
      '  https://pipeops-control-plane.pipeops-control-plane.svc',
      'For a name of your own change CONTROL_PLANE_PUBLIC_URL and the Service’s type. Then',
      '  kubectl -n pipeops-control-plane exec statefulset/pipeops-control-plane -- node /app/ctl.mjs agent-tokens create',
    ],
    values: {},
  },
]

/** One manifest's text: the chart's objects without what speaks of Helm, in a namespace that takes restricted pods only. */
export async function renderManifest(helm: Helm, manifest: Manifest): Promise<string> {
  const { chart, release, namespace, usage, values } = manifest
  const rendered = await helm.template(chart, values, { release, namespace, hooks: false })
  const objects = parseAllDocuments(rendered, { version: '1.1' }).flatMap((document) => {
    if (document.contents === null) return []
    document.commentBefore = null
    document.contents.commentBefore = null
    for (const path of [['metadata'], ['spec', 'template', 'metadata']]) {
      const labels = document.getIn([...path, 'labels']) as YAMLMap | undefined
      labels?.delete('helm.sh/chart')
      labels?.delete('app.kubernetes.io/managed-by')
    }
    return [document.toString({ lineWidth: 0, directives: false })]
  })
  const head = ['Generated from the chart: npm run manifests -w @agent/chart', '', ...usage]
  return [
    head.map((line) => `# ${line}`.trimEnd()).join('\n') + '\n' + namespaceText(namespace),
    ...objects,
  ].join('---\n')
}

function namespaceText(name: string): string {
  return [
    'apiVersion: v1',
    'kind: Namespace',
    'metadata:',
    `  name: ${name}`,
    '  labels:',
    '    pod-security.kubernetes.io/enforce: restricted',
    '',
  ].join('\n')
}
