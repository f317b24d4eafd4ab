import { expect, test } from 'vitest'

import { compilePolicies, type PolicyState } from './network-policy.ts'

const pod = (
  namespace: string,
  name: string,
  podIP: string,
  ports = [{ containerPort: 8_080 }],
) => ({
  metadata: { name, namespace, labels: { app: name } },
  spec: { containers: [{ ports: ports.map((port) => ({ ...port, name: 'web' })) }] },
  status: { podIP, phase: 'Running' },
})
const state = (spec: PolicyState['policies'][number]['spec']): PolicyState => ({
  namespaces: ['shop', 'office'].map((name) => ({ metadata: { name, labels: { name } } })),
  pods: [
    pod('shop', 'web', '10.0.0.1'),
    pod('shop', 'till', '10.0.0.2'),
    pod('office', 'desk', '10.0.0.3', [{ containerPort: 9_090 }]),
  ],
  policies: [{ metadata: { namespace: 'shop' }, spec }],
})
/** What stands about the pod `web` in one direction, without the words that every line has. */
function rulesOf(spec: PolicyState['policies'][number]['spec'], side: '-s' | '-d'): string[] {
  const lines = compilePolicies(state(spec)).split('\n')
  const jump = lines.find((line) => line.startsWith(`-A NODE-POLICIES ${side} 10.0.0.1/32 `))
  if (jump === undefined) return ['not held up']
  const chain = jump.split(' ').at(-1) as string
  return lines
    .filter((line) => line.startsWith(`-A ${chain} `))
    .map((line) => line.slice(`-A ${chain} `.length))
}
const refused = '-j REJECT --reject-with icmp-admin-prohibited'
const podSelector = { matchLabels: { app: 'web' } }

test('a pod that no policy selects, and a direction that none names, are not held up', () => {
  const spec = { podSelector, policyTypes: ['Ingress'] }
  expect(rulesOf(spec, '-s')).toEqual(['not held up'])
  expect(rulesOf({ ...spec, podSelector: { matchLabels: { app: 'x' } } }, '-d')).toEqual([
    'not held up',
  ])
})

test('a policy without rules refuses everything', () => {
  expect(rulesOf({ podSelector, policyTypes: ['Ingress'], ingress: [] }, '-d')).toEqual([refused])
})

test('an empty rule allows everything, an empty selector all pods of the namespace', () => {
  expect(rulesOf({ podSelector: {}, ingress: [{}] }, '-d')).toEqual(['-j RETURN', refused])
  const from = [{ podSelector: {} }]
  expect(rulesOf({ podSelector, ingress: [{ from }] }, '-d')).toEqual([
    '-s 10.0.0.1/32 -j RETURN',
    '-s 10.0.0.2/32 -j RETURN',
    refused,
  ])
})

test('a port’s name is that of the pod that is reached', () => {
  const ports = [{ protocol: 'TCP', port: 'web' }]
  expect(rulesOf({ podSelector, ingress: [{ ports }] }, '-d')).toEqual([
    '-p tcp --dport 8080 -j RETURN',
    refused,
  ])
  const to = [{ namespaceSelector: { matchLabels: { name: 'office' } } }]
  expect(rulesOf({ podSelector, policyTypes: ['Egress'], egress: [{ to, ports }] }, '-s')).toEqual([
    '-d 10.0.0.3/32 -p tcp --dport 9090 -j RETURN',
    refused,
  ])
})

test('address blocks, ranges of ports and expressions', () => {
  const to = [{ ipBlock: { cidr: '192.0.2.0/24' } }, { ipBlock: { cidr: '::/0' } }]
  const ports = [
    { protocol: 'UDP', port: 53 },
    { port: 8_000, endPort: 8_010 },
  ]
  const expression = { key: 'app', operator: 'NotIn', values: ['till', 'desk'] }
  const spec = { podSelector: { matchExpressions: [expression] }, egress: [{ to, ports }] }
  expect(rulesOf(spec, '-s')).toEqual([
    '-d 192.0.2.0/24 -p udp --dport 53:53 -j RETURN',
    '-d 192.0.2.0/24 -p tcp --dport 8000:8010 -j RETURN',
    refused,
  ])
})
