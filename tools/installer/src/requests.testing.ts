import {
  type Environment,
  agent,
  gateway,
  inside,
  k3s,
  kind,
  mac,
  minikube,
  rest,
  server,
  smallRest,
  withContext,
  workstation,
} from './environment.testing.ts'

/** What may be asked for, found in the cluster or left by an earlier run, and what follows. */
export const requests: Environment[] = [
  // An existing context
  {
    name: 'a context, and somebody to ask',
    facts: { ...server, ...withContext, terminal: 'yes' },
    plan: ['ask prod'],
  },
  {
    name: 'a context, and nobody to ask',
    facts: { ...server, ...withContext },
    refused: /context 'prod' exists, and there is no terminal.*--context 'prod'/,
  },
  {
    name: 'a context in CI',
    facts: { ...workstation, ...withContext, ci: 'yes', terminal: 'no' },
    refused: /no terminal to ask/,
  },
  {
    name: 'a context, and the answer is yes',
    facts: { ...server, ...withContext, terminal: 'yes', answer: 'yes' },
    plan: ['use existing prod', ...rest],
  },
  {
    name: 'a context, and the answer is no',
    facts: { ...server, ...withContext, terminal: 'yes', answer: 'no' },
    plan: [k3s, ...rest],
  },
  {
    name: 'a context that does not answer',
    facts: { ...server, ...withContext, context_reachable: 'no' },
    plan: [k3s, ...rest],
  },
  {
    name: 'a context, and a new cluster asked for',
    facts: { ...server, ...withContext, want_context: 'none' },
    plan: [k3s, ...rest],
  },
  {
    name: 'a context, and CLUSTER_TYPE set',
    facts: { ...workstation, ...withContext, cluster_type: 'kind', terminal: 'no' },
    plan: ['fetch kind', 'create kind', ...rest],
  },
  {
    name: 'a named context, without a terminal',
    facts: { ...server, ...withContext, want_context: 'staging', context: 'staging' },
    plan: ['use existing staging', ...rest],
  },
  {
    name: 'a named context, on a machine where no cluster could run',
    facts: { ...mac, ...withContext, docker: 'absent', memory_mb: 300, want_context: 'prod' },
    plan: ['use existing prod', ...rest],
  },
  {
    name: 'a named context that does not answer',
    facts: { ...server, kubectl: 'yes', want_context: 'gone' },
    refused: /'gone' does not exist or does not answer/,
  },
  {
    name: 'a named context without kubectl',
    facts: { ...server, want_context: 'prod' },
    refused: /kubectl is needed/,
  },
  {
    name: 'a named context and CLUSTER_TYPE',
    facts: { ...server, ...withContext, want_context: 'prod', cluster_type: 'k3s' },
    refused: /give one of the two/,
  },
  {
    name: 'a dry run with a context and nobody to ask',
    facts: { ...server, ...withContext, token: 'none', dry_run: 'yes' },
    plan: ['ask prod'],
  },
  // CLUSTER_TYPE
  {
    name: 'CLUSTER_TYPE=minikube on Linux',
    facts: { ...workstation, cluster_type: 'minikube' },
    plan: [...minikube('driver=docker cpus=2 memory_mb=7200'), ...rest],
  },
  {
    name: 'CLUSTER_TYPE=kind with too little memory: as asked',
    facts: { ...workstation, cluster_type: 'kind', memory_mb: 1000 },
    plan: [...kind, ...smallRest],
  },
  {
    name: 'CLUSTER_TYPE=k3s without root',
    facts: { ...workstation, cluster_type: 'k3s' },
    refused: /k3s cannot run here: needs root/,
  },
  {
    name: 'CLUSTER_TYPE=minikube as root with only Docker',
    facts: { ...server, docker: 'usable', cluster_type: 'minikube' },
    refused: /its Docker driver refuses root/,
  },
  {
    name: 'CLUSTER_TYPE=talos',
    facts: { ...server, cluster_type: 'talos' },
    refused: /'talos' is no kind of cluster \| CLUSTER_TYPE/,
  },
  // What goes into the cluster
  {
    name: 'no Gateway API: k3s keeps its Traefik',
    facts: { ...server, gateway_api: 'false' },
    plan: ['create k3s traefik=on lxc=no', 'fetch helm', agent],
  },
  {
    name: 'no Gateway API on k3d',
    facts: { ...workstation, gateway_api: 'false' },
    plan: ['fetch kubectl', 'fetch k3d', 'create k3d traefik=on', 'fetch helm', agent],
  },
  {
    name: 'a cluster with a Gateway API and an Istio of its own',
    facts: {
      ...server,
      ...withContext,
      want_context: 'prod',
      gateway_crds: 'present',
      istio: 'present',
    },
    plan: ['use existing prod', ...inside('gateway-api keep', 'istio keep', agent)],
  },
  {
    name: 'a cluster with only a Gateway API',
    facts: { ...server, ...withContext, want_context: 'prod', gateway_crds: 'present' },
    plan: [
      'use existing prod',
      ...inside('gateway-api keep', 'istio install requests=default', agent),
    ],
  },
  {
    name: 'a cluster with somebody’s agent',
    facts: { ...server, ...withContext, want_context: 'prod', agent: 'present' },
    refused: /the agent is already in this cluster.*uninstall it with helm/,
  },
  {
    name: 'a cluster with parts of an agent that nobody installed with Helm',
    facts: {
      ...server,
      ...withContext,
      want_context: 'prod',
      agent_objects: 'deployment.apps/pipeops-agent configmap/pipeops-agent-state',
    },
    refused: /configmap\/pipeops-agent-state \| namespace pipeops-system \| .*kubectl delete -n/,
  },
  {
    name: 'a chart with monitoring: on by itself',
    facts: { ...server, chart_monitoring: 'yes' },
    plan: [k3s, ...inside(...gateway, 'agent default-cluster monitoring=on')],
  },
  {
    name: 'a chart with monitoring: off when asked',
    facts: { ...server, chart_monitoring: 'yes', monitoring: 'false' },
    plan: [k3s, ...rest],
  },
  {
    name: 'a chart without monitoring, and monitoring asked for',
    facts: { ...server, monitoring: 'true' },
    refused: /no monitoring sidecar \| INSTALL_MONITORING/,
  },
  {
    name: 'a name of one’s own',
    facts: { ...server, cluster_name: 'prod-eu-1.a' },
    plan: [k3s, ...inside(...gateway, 'agent prod-eu-1.a monitoring=off')],
  },
  // Again
  {
    name: 'a second run on the k3s that the first one made',
    facts: {
      ...server,
      node: 'k3s',
      port_6443: 'taken',
      recorded: 'k3s',
      recorded_alive: 'yes',
      helm: 'yes',
      gateway_crds: 'ours',
      istio: 'ours',
      agent: 'ours',
      token: 'kept',
    },
    plan: ['use k3s', ...gateway, agent],
  },
  {
    name: 'a second run in the context of the first',
    facts: { ...server, ...withContext, recorded: 'existing:prod', recorded_alive: 'yes' },
    plan: ['use existing prod', ...rest],
  },
  {
    name: 'a second run that names another context',
    facts: { ...server, recorded: 'existing:prod', recorded_alive: 'yes', want_context: 'other' },
    refused: /already installed in context 'prod'/,
  },
  {
    name: 'a second run that asks for another kind of cluster',
    facts: { ...workstation, recorded: 'k3d', recorded_alive: 'yes', cluster_type: 'kind' },
    refused: /already made a k3d cluster/,
  },
  {
    name: 'a second run when the cluster is gone',
    facts: { ...workstation, recorded: 'k3d' },
    refused: /does not answer.*--cluster-gone/,
  },
]
