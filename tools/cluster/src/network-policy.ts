/** What of Kubernetes' objects decides who may talk to whom (networking.k8s.io/v1). */
export type PolicyState = {
  namespaces: { metadata: { name: string; labels?: Labels } }[]
  pods: Pod[]
  policies: NetworkPolicy[]
}
type Labels = Record<string, string>
type Pod = {
  metadata: { name: string; namespace: string; labels?: Labels }
  spec: { hostNetwork?: boolean; containers: Container[]; initContainers?: Container[] }
  status: { podIP?: string; phase?: string }
}
type Container = { ports?: { name?: string; containerPort: number; protocol?: string }[] }
type NetworkPolicy = {
  metadata: { namespace: string }
  spec: {
    podSelector: Selector
    policyTypes?: string[]
    ingress?: { from?: Peer[]; ports?: Port[] }[]
    egress?: { to?: Peer[]; ports?: Port[] }[]
  }
}
type Selector = {
  matchLabels?: Labels
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
}
type Peer = {
  ipBlock?: { cidr: string; except?: string[] }
  podSelector?: Selector
  namespaceSelector?: Selector
}
type Port = { protocol?: string; port?: number | string; endPort?: number }
type Direction = 'Ingress' | 'Egress'
/** One thing allowed, as iptables writes it: the far end, then protocol and port. */
type Allowed = string[]

/** The chain that everything to and from pods passes. */
export const policyChain = 'NODE-POLICIES'
/** No closed port answers so: who meets it knows that a policy stood in the way (EHOSTUNREACH). */
const refuse = ['-j', 'REJECT', '--reject-with', 'icmp-admin-prohibited']

/**
 * Rules for `iptables-restore --noflush` that let through what the policies allow, and answers to it. IPv4 alone, as the
 * node. What kubelet and other processes of the node ask of pods is no business of policies.
 */
export function compilePolicies(state: PolicyState): string {
  const chains: string[] = [`:${policyChain} - [0:0]`]
  const rules: string[][] = [
    ['-A', policyChain, '-m', 'conntrack', '--ctstate', 'ESTABLISHED,RELATED', '-j', 'RETURN'],
  ]
  for (const pod of state.pods.filter(hasAddress)) {
    for (const direction of ['Egress', 'Ingress'] as const) {
      const policies = state.policies.filter((each) => isAbout(each, pod, direction))
      if (policies.length === 0) continue
      const chain = `${policyChain}-${chains.length}`
      chains.push(`:${chain} - [0:0]`)
      const side = direction === 'Egress' ? '-s' : '-d'
      rules.push(['-A', policyChain, side, `${pod.status.podIP}/32`, '-j', chain])
      for (const allowed of policies.flatMap((each) => allowedBy(each, pod, direction, state))) {
        rules.push(['-A', chain, ...allowed, '-j', 'RETURN'])
      }
      rules.push(['-A', chain, ...refuse])
    }
  }
  return ['*filter', ...chains, ...rules.map((words) => words.join(' ')), 'COMMIT', ''].join('\n')
}

function hasAddress({ spec, status }: Pod): boolean {
  const isOver = status.phase === 'Succeeded' || status.phase === 'Failed'
  return status.podIP !== undefined && spec.hostNetwork !== true && !isOver
}

function isAbout({ metadata, spec }: NetworkPolicy, pod: Pod, direction: Direction): boolean {
  const types = spec.policyTypes ?? (spec.egress ? ['Ingress', 'Egress'] : ['Ingress'])
  return (
    metadata.namespace === pod.metadata.namespace &&
    types.includes(direction) &&
    selects(spec.podSelector, pod.metadata.labels)
  )
}

function allowedBy(
  policy: NetworkPolicy,
  pod: Pod,
  direction: Direction,
  state: PolicyState,
): Allowed[] {
  const { ingress = [], egress = [] } = policy.spec
  const rules =
    direction === 'Egress'
      ? egress.map(({ to, ports }) => ({ peers: to ?? [], ports: ports ?? [] }))
      : ingress.map(({ from, ports }) => ({ peers: from ?? [], ports: ports ?? [] }))
  const flag = direction === 'Egress' ? '-d' : '-s'
  return rules.flatMap(({ peers, ports }) => {
    const ends = peers.length === 0 ? [anywhere] : peers.flatMap((peer) => endsOf(peer))
    return ends.flatMap(({ cidr, pod: peer }) => {
      const far = cidr === undefined ? [] : [flag, cidr]
      if (ports.length === 0) return [far]
      // A name is that of a port of whoever is connected to.
      const target = direction === 'Ingress' ? pod : peer
      return ports.flatMap((port) => wordsOf(port, target)).map((words) => [...far, ...words])
    })
  })

  function endsOf({ ipBlock, podSelector, namespaceSelector }: Peer): End[] {
    if (ipBlock) {
      if (ipBlock.except) throw new Error('ipBlock.except is not enforced on this node')
      return ipBlock.cidr.includes(':') ? [] : [{ cidr: ipBlock.cidr }]
    }
    const namespaces = namespaceSelector
      ? state.namespaces
          .filter(({ metadata }) => selects(namespaceSelector, metadata.labels))
          .map(({ metadata }) => metadata.name)
      : [policy.metadata.namespace]
    return state.pods
      .filter(hasAddress)
      .filter(({ metadata }) => namespaces.includes(metadata.namespace))
      .filter(({ metadata }) => podSelector === undefined || selects(podSelector, metadata.labels))
      .map((pod) => ({ cidr: `${pod.status.podIP}/32`, pod }))
  }
}
/** A far end; without an address it is anybody. */
type End = { cidr?: string; pod?: Pod }
const anywhere: End = {}

/** One port as iptables matches it; a name that the pod does not know matches nothing. */
function wordsOf({ protocol = 'TCP', port, endPort }: Port, target?: Pod): string[][] {
  const match = ['-p', protocol.toLowerCase()]
  if (port === undefined) return [match]
  if (typeof port === 'number') return [[...match, '--dport', `${port}:${endPort ?? port}`]]
  const { containers = [], initContainers = [] } = target?.spec ?? {}
  return [...containers, ...initContainers]
    .flatMap(({ ports = [] }) => ports)
    .filter((each) => each.name === port && (each.protocol ?? 'TCP') === protocol)
    .map(({ containerPort }) => [...match, '--dport', String(containerPort)])
}

function selects({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Labels = {}) {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key]
      if (operator === 'Exists') return value !== undefined
      if (operator === 'DoesNotExist') return value === undefined
      const isAmong = value !== undefined && values.includes(value)
      return operator === 'In' ? isAmong : !isAmong
    })
  )
}
