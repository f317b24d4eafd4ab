const heartbeatMs = 600_000

/** kwok's configuration: how nodes and pods become Ready, and what logs, exec and port-forward do. */
export function kwokConfig(options: {
  logsFile: string
  workDir: string
  webPort: number
}): string {
  const documents = [
    stage('node-initialize', 'Node', {
      selector: { matchExpressions: [isReady('NotIn')] },
      next: { statusTemplate: nodeStatus },
    }),
    stage('node-heartbeat', 'Node', {
      selector: {
        matchExpressions: [
          { key: '.status.phase', operator: 'In', values: ['Running'] },
          isReady('In'),
        ],
      },
      delay: {
        durationMilliseconds: heartbeatMs,
        jitterDurationMilliseconds: heartbeatMs + 10_000,
      },
      next: { statusTemplate: nodeConditions },
      immediateNextStage: true,
    }),
    stage('pod-ready', 'Pod', {
      selector: {
        matchExpressions: [
          { key: '.metadata.deletionTimestamp', operator: 'DoesNotExist' },
          { key: '.status.phase', operator: 'In', values: ['Pending'] },
          isReady('NotIn'),
        ],
      },
      next: { statusTemplate: podStatus },
    }),
    stage('pod-delete', 'Pod', {
      selector: { matchExpressions: [{ key: '.metadata.deletionTimestamp', operator: 'Exists' }] },
      next: { delete: true },
    }),
    forAll('ClusterLogs', { logs: [{ logsFile: options.logsFile, follow: true }] }),
    forAll('ClusterAttach', { attaches: [{ logsFile: options.logsFile }] }),
    forAll('ClusterExec', { execs: [{ local: { workDir: options.workDir } }] }),
    forAll('ClusterPortForward', {
      forwards: [{ target: { port: options.webPort, address: '127.0.0.1' } }],
    }),
  ]
  return documents.map((document) => JSON.stringify(document)).join('\n---\n')
}

function stage(name: string, kind: string, spec: object): object {
  return {
    apiVersion: 'kwok.x-k8s.io/v1alpha1',
    kind: 'Stage',
    metadata: { name },
    spec: { resourceRef: { apiGroup: 'v1', kind }, ...spec },
  }
}

function forAll(kind: string, spec: object): object {
  return { apiVersion: 'kwok.x-k8s.io/v1alpha1', kind, metadata: { name: 'all' }, spec }
}

function isReady(operator: 'In' | 'NotIn'): object {
  return {
    key: '.status.conditions.[] | select( .type == "Ready" ) | .status',
    operator,
    values: ['True'],
  }
}

const nodeConditions = `
conditions:
{{ range NodeConditions }}
- type: {{ .type | Quote }}
  status: {{ .status | Quote }}
  reason: {{ .reason | Quote }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ Now | Quote }}
  lastTransitionTime: {{ Now | Quote }}
{{ end }}
`

const nodeStatus = `${nodeConditions}
addresses:
- { type: InternalIP, address: {{ NodeIP | Quote }} }
- { type: Hostname, address: {{ NodeName | Quote }} }
daemonEndpoints:
  kubeletEndpoint: { Port: {{ NodePort }} }
allocatable: { cpu: "8", memory: 32Gi, pods: "110" }
capacity: { cpu: "8", memory: 32Gi, pods: "110" }
nodeInfo:
  architecture: amd64
  operatingSystem: linux
  kubeletVersion: v1.34.4
  containerRuntimeVersion: kwok://{{ Version }}
  kernelVersion: kwok
  kubeProxyVersion: ""
  osImage: kwok
  bootID: ""
  machineID: ""
  systemUUID: ""
phase: Running
`

const podStatus = `
{{ $now := Now }}
conditions:
- { type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }} }
- { type: Ready, status: "True", lastTransitionTime: {{ $now | Quote }} }
- { type: ContainersReady, status: "True", lastTransitionTime: {{ $now | Quote }} }
- { type: PodScheduled, status: "True", lastTransitionTime: {{ $now | Quote }} }
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  containerID: kwok://{{ .name }}
  ready: true
  started: true
  restartCount: 0
  state: { running: { startedAt: {{ $now | Quote }} } }
{{ end }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: {{ PodIPWith .spec.nodeName ( or .spec.hostNetwork false ) ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) | Quote }}
phase: Running
startTime: {{ $now | Quote }}
`
