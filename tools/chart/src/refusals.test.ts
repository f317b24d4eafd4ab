import { beforeAll, describe, type ExpectStatic, test } from 'vitest'

import { type ChartName, type Helm, openHelm } from './helm.ts'

let helm: Helm
beforeAll(async () => {
  helm = await openHelm()
})

const token = 'sentinel-of-the-agent-token'
const pipeops = { token }
const cluster = { name: 'prod' }
const agent = { pipeops, cluster }
const on = { enabled: true }
const off = { enabled: false }

/** Values, and what the message must name. */
type Refusal = [what: string, chart: ChartName, values: object, ...named: string[]]

const unfit: Refusal[] = [
  ['no cluster name', 'agent', { agent: { pipeops } }, 'agent.cluster.name'],
  ['no token', 'agent', { agent: { cluster } }, 'agent.pipeops.token', 'existingSecret'],
  [
    'two tokens',
    'agent',
    { agent: { cluster, pipeops: { token, existingSecret: 'mine' } } },
    'give one of them',
  ],
  [
    'several problems at once',
    'agent',
    { nats: off },
    'cluster.name',
    'pipeops.token',
    'nats.enabled',
  ],
  [
    'two sources of authorities',
    'agent',
    {
      agent: {
        cluster,
        pipeops: {
          token,
          tls: { caBundle: '-----BEGIN CERTIFICATE-----', existingConfigMap: 'corp-ca' },
        },
      },
    },
    'caBundle',
  ],
  [
    'nothing enabled',
    'agent',
    { agent, link: off, proxy: off, console: off },
    'all of them are off',
  ],
  ['no bus', 'agent', { agent, nats: off }, 'nats.enabled'],
  [
    'more processes than the edge profile has',
    'agent',
    { agent, profile: 'edge', proxy: { replicas: 2 } },
    'proxy.replicas',
    'proxy.connections',
  ],
  ['proxy without link', 'agent', { agent, link: off }, 'link.enabled'],
  [
    'ingress sync, whose sidecar does not exist',
    'agent',
    { agent: { ...agent, enableIngressSync: true } },
    'agent.enableIngressSync',
  ],
  [
    'component installation, whose sidecar does not exist',
    'agent',
    { agent: { ...agent, autoInstallComponents: true } },
    'agent.autoInstallComponents',
  ],
  ['a gateway', 'agent', { agent: { ...agent, gateway: on } }, 'agent.gateway'],
  ['Gateway API', 'agent', { agent: { ...agent, gateway: { gatewayApi: on } } }, 'agent.gateway'],
  ['Istio', 'agent', { agent: { ...agent, gateway: { istio: on } } }, 'agent.gateway'],
  [
    'an Istio Service',
    'agent',
    { agent: { ...agent, gateway: { istio: { service: { create: true } } } } },
    'agent.gateway',
  ],
  ['rights for nobody', 'agent', { agent, rbac: { profile: 'read-only' } }, 'rbac.users'],
  ['groups without users', 'agent', { agent, rbac: { groups: ['dev'] } }, 'rbac.groups'],
  [
    'rights in no namespace',
    'agent',
    { agent, rbac: { profile: 'namespaced', users: ['alice'] } },
    'rbac.namespaces',
  ],
  [
    'namespaces in a profile without them',
    'agent',
    { agent, rbac: { namespaces: ['shop'] } },
    'rbac.namespaces',
  ],
  [
    'both monitors',
    'agent',
    { agent, metrics: { podMonitor: on, serviceMonitor: on } },
    'metrics.podMonitor',
  ],
  [
    'both monitors of the control plane',
    'controlPlane',
    { metrics: { podMonitor: on, serviceMonitor: on } },
    'metrics.podMonitor',
  ],
  [
    'two ways to NATS',
    'controlPlane',
    { nats: { url: 'nats://n:4222', existingSecret: 'n' } },
    'nats.url',
  ],
  [
    'a certificate without the name it is for',
    'controlPlane',
    { tls: { existingSecret: 'tls' } },
    'publicUrl',
  ],
  [
    'a node port on a Service without one',
    'controlPlane',
    { service: { nodePort: 30_443 } },
    'service.nodePort',
  ],
]

const typos: Refusal[] = [
  ['a block', 'agent', { agent, lnik: {} }, 'lnik'],
  ['a sidecar’s value', 'agent', { agent, proxy: { replica: 2 } }, 'proxy', 'replica'],
  ['a resource', 'agent', { agent, link: { resources: { limits: { memroy: '1Gi' } } } }, 'memroy'],
  ['a quantity', 'agent', { agent, link: { resources: { limits: { memory: '1GB' } } } }, 'memory'],
  ['a value deep inside', 'agent', { agent: { ...agent, pipeops: { tokn: 'x' } } }, 'tokn'],
  [
    'the chart’s older spelling',
    'agent',
    { agent: { ...agent, enable_ingress_sync: true } },
    'enable_ingress_sync',
  ],
  ['a choice', 'agent', { agent, rbac: { profile: 'readonly' } }, 'profile'],
  ['a log level', 'agent', { agent, config: { logging: { level: 'loud' } } }, 'level'],
  ['two buses', 'agent', { agent, nats: { replicas: 2 } }, 'replicas'],
  ['no pods', 'agent', { agent, podReplicas: 0 }, 'podReplicas'],
  ['too many connections', 'agent', { agent, proxy: { connections: 17 } }, 'connections'],
  [
    'a Service without port',
    'agent',
    { agent, proxy: { allowedServices: ['shop/web'] } },
    'allowedServices',
  ],
  [
    'a cluster name in capitals',
    'agent',
    { agent: { pipeops, cluster: { name: 'Prod' } } },
    'name',
  ],
  [
    'a control plane without TLS',
    'agent',
    { agent: { cluster, pipeops: { token, apiUrl: 'http://cp' } } },
    'apiUrl',
  ],
  [
    'a password in the proxy’s URL',
    'agent',
    { agent: { ...agent, httpsProxy: 'http://u:p@proxy:3128' } },
    'httpsProxy',
  ],
  [
    'the token as plain environment',
    'agent',
    { agent, link: { env: { PIPEOPS_TOKEN: 'x' } } },
    'PIPEOPS_TOKEN',
  ],
  ['a list where a map belongs', 'agent', { agent, link: { env: [{ name: 'A' }] } }, 'env'],
  [
    'a group of Kubernetes’ own',
    'agent',
    { agent, rbac: { groups: ['system:masters'] } },
    'groups',
  ],
  ['a user of Kubernetes’ own', 'agent', { agent, rbac: { users: ['system:admin'] } }, 'users'],
  ['a string where a number belongs', 'agent', { agent, podReplicas: '2' }, 'podReplicas'],
  ['a probe’s field', 'agent', { agent, probes: { liveness: { period: 1 } } }, 'period'],
  ['root', 'agent', { agent, podSecurityContext: { runAsUser: 0 } }, 'runAsUser'],
  ['a block of the control plane', 'controlPlane', { persistance: off }, 'persistance'],
  ['a control plane that is not HTTPS', 'controlPlane', { publicUrl: 'cp.corp' }, 'publicUrl'],
  ['a password in the NATS URL', 'controlPlane', { nats: { url: 'nats://u:p@n' } }, 'url'],
]

describe.concurrent('what cannot be installed is refused with what to do', () => {
  test.for(unfit)('%s', ([, chart, values, ...named], { expect }) =>
    expectRefusal(expect, chart, values, ['cannot be installed', ...named]),
  )
})

describe.concurrent('a typo is refused by name', () => {
  test.for(typos)('%s', ([, chart, values, ...named], { expect }) =>
    expectRefusal(expect, chart, values, ["don't meet the specifications", ...named]),
  )
})

async function expectRefusal(
  expect: ExpectStatic,
  chart: ChartName,
  values: object,
  named: string[],
): Promise<void> {
  const message = await helm.template(chart, values).then(
    () => 'it was accepted',
    (error: Error) => error.message,
  )
  for (const part of named) expect(message).toContain(part)
  expect(message).not.toContain(token)
}
