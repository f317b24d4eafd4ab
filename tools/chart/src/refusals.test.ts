import { beforeAll, describe, type ExpectStatic, test } from 'vitest'

import { type ChartName, type Helm, openHelm } from './helm.ts'
import { parseRendered } from './objects.ts'

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
  [
    'environment.mode without its sidecar',
    'agent',
    { agent: { ...agent, gateway: { environment: { mode: 'single-vm' } } } },
    'agent.gateway.environment.mode: ',
  ],
  [
    'environment.vmIP without its sidecar',
    'agent',
    { agent: { ...agent, gateway: { environment: { vmIP: '192.0.2.10' } } } },
    'agent.gateway.environment.vmIP: ',
  ],
  [
    'gatewayApi.listeners without its sidecar',
    'agent',
    { agent: { ...agent, gateway: { gatewayApi: { listeners: [{ port: 5000 }] } } } },
    'agent.gateway.gatewayApi.listeners: ',
  ],
  [
    'gatewayApi.tcpRoutes without its sidecar',
    'agent',
    { agent: { ...agent, gateway: { gatewayApi: { tcpRoutes: [{ name: 'db' }] } } } },
    'agent.gateway.gatewayApi.tcpRoutes: ',
  ],
  [
    'gatewayApi.udpRoutes without its sidecar',
    'agent',
    { agent: { ...agent, gateway: { gatewayApi: { udpRoutes: [{ name: 'dns' }] } } } },
    'agent.gateway.gatewayApi.udpRoutes: ',
  ],
  [
    'istio.gateway.servers without its sidecar',
    'agent',
    { agent: { ...agent, gateway: { istio: { gateway: { servers: [{ port: 1 }] } } } } },
    'agent.gateway.istio.gateway.servers: ',
  ],
  [
    'istio.gateway.selector without its sidecar',
    'agent',
    { agent: { ...agent, gateway: { istio: { gateway: { selector: { istio: 'x' } } } } } },
    'agent.gateway.istio.gateway.selector: ',
  ],
  [
    'istio.virtualService.tcpRoutes without its sidecar',
    'agent',
    {
      agent: { ...agent, gateway: { istio: { virtualService: { tcpRoutes: [{ name: 'db' }] } } } },
    },
    'agent.gateway.istio.virtualService.tcpRoutes: ',
  ],
  [
    'istio.virtualService.tlsRoutes without its sidecar',
    'agent',
    {
      agent: { ...agent, gateway: { istio: { virtualService: { tlsRoutes: [{ name: 'db' }] } } } },
    },
    'agent.gateway.istio.virtualService.tlsRoutes: ',
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
  [
    'a password on the way out as plain environment',
    'agent',
    { agent, proxy: { env: { HTTPS_PROXY: 'http://u:hunter2@h:3128' } } },
    'proxy.env.HTTPS_PROXY: has credentials',
    'secretKeyRef',
  ],
  [
    'credentials of a bus as plain environment',
    'agent',
    { agent, link: { env: { BUS_URL: 'nats://u:hunter2@x' } } },
    'link.env.BUS_URL: has credentials',
    'secretKeyRef',
  ],
  [
    'credentials of NATS as plain environment',
    'controlPlane',
    { env: { CONTROL_PLANE_NATS_URL: 'nats://u:hunter2@h' } },
    'env.CONTROL_PLANE_NATS_URL: has credentials',
    'secretKeyRef',
    'nats.existingSecret',
  ],
  [
    'a port that only the environment knows',
    'agent',
    { agent, profile: 'edge', link: { env: { HEALTH_PORT: 9_999 } } },
    'link.env.HEALTH_PORT: is set by the chart',
  ],
  [
    'a grace that only the environment knows',
    'agent',
    { agent, proxy: { env: { SHUTDOWN_GRACE_SECONDS: 60 } } },
    'use shutdownGraceSeconds',
  ],
  [
    'two ways out of one process',
    'agent',
    {
      agent,
      profile: 'edge',
      link: { env: { HTTPS_PROXY: 'http://a:1' } },
      proxy: { env: { HTTPS_PROXY: 'http://b:1' } },
    },
    'link.env.HTTPS_PROXY, proxy.env.HTTPS_PROXY: differ',
  ],
  [
    'labels of the chart on a pod and a monitor',
    'agent',
    {
      agent,
      podLabels: { 'app.kubernetes.io/name': 'x' },
      metrics: { podMonitor: { labels: { 'app.kubernetes.io/instance': 'x' } } },
    },
    'podLabels: app.kubernetes.io/name',
    'metrics.podMonitor.labels: app.kubernetes.io/instance',
  ],
  [
    'labels of the control plane’s chart',
    'controlPlane',
    { podLabels: { 'app.kubernetes.io/name': 'x' } },
    'podLabels: app.kubernetes.io/name',
  ],
  [
    'annotations of the chart',
    'agent',
    { agent, podAnnotations: { 'checksum/config': 'x' } },
    'podAnnotations: checksum/config',
  ],
  ['a bus of no version', 'agent', { agent, nats: { image: { tag: '' } } }, 'nats.image.tag'],
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
  ...['cidrs', 'ports'].map((list): Refusal => [
    `an API server without ${list}: every one of them`,
    'agent',
    { agent, networkPolicy: { enabled: true, apiServer: { [list]: [] } } },
    `/networkPolicy/apiServer/${list}`,
  ]),
  [
    'a control plane without networks: everywhere',
    'agent',
    { agent, networkPolicy: { enabled: true, controlPlane: { cidrs: [] } } },
    '/networkPolicy/controlPlane/cidrs',
  ],
  ...['nonsense', '10.0.0.0', '10.0.0.256/8', '10.0.0.0/33', '::/129', ':::/0', 'fe80::1'].map(
    (cidr): Refusal => [
      `a network ${cidr}`,
      'agent',
      { agent, networkPolicy: { apiServer: { cidrs: [cidr] } } },
      '/networkPolicy/apiServer/cidrs/0',
    ],
  ),
  [
    'a network of a load balancer',
    'controlPlane',
    { service: { loadBalancerSourceRanges: ['nonsense'] } },
    'loadBalancerSourceRanges',
  ],
  [
    'somebody',
    'agent',
    { agent, networkPolicy: { ingressFrom: [{ podSelectr: {} }] } },
    'ingressFrom',
  ],
  ['nowhere', 'agent', { agent, networkPolicy: { extraEgress: [{ to: [] }] } }, 'extraEgress'],
  ['a client', 'controlPlane', { networkPolicy: { clientsFrom: [{}] } }, 'clientsFrom'],
  [
    'a port of five nines',
    'agent',
    { agent, proxy: { allowedServices: ['a/b:99999'] } },
    'allowed',
  ],
  [
    'less than no memory',
    'agent',
    { agent, link: { resources: { limits: { memory: -5 } } } },
    '-5',
  ],
  ['a toleration', 'agent', { agent, tolerations: [{ foo: 1 }] }, 'foo'],
  ['the control plane’s toleration', 'controlPlane', { tolerations: [{ foo: 1 }] }, 'foo'],
  [
    'a Secret without key',
    'agent',
    { agent, link: { env: { A: { valueFrom: { secretKeyRef: { name: 'x' } } } } } },
    'secretKeyRef',
  ],
  ['a long name', 'agent', { agent, nameOverride: 'x'.repeat(41) }, 'nameOverride'],
  [
    'a name that no Service may have',
    'agent',
    { agent, fullnameOverride: '1x' },
    'fullnameOverride',
  ],
  ['no sidecar', 'agent', { agent, link: null }, "missing property 'link'"],
  ['no probes', 'agent', { agent, probes: null }, "missing property 'probes'"],
  ['no metrics', 'agent', { agent, metrics: null }, "missing property 'metrics'"],
  [
    'no TLS',
    'agent',
    { agent: { cluster, pipeops: { token, tls: null } } },
    "missing property 'tls'",
  ],
  ['no way of signing in', 'agent', { agent, console: { auth: null } }, "missing property 'auth'"],
  ['no service', 'controlPlane', { service: null }, "missing property 'service'"],
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

test.for(['agent', 'controlPlane'] as const)(
  'a release of %s whose name begins with a digit needs another name',
  async (chart, { expect }) => {
    const render = (values: object) => helm.template(chart, { agent, ...values }, { release: '1x' })
    const given = chart === 'agent' ? {} : { agent: undefined }
    await expect(render(given)).rejects.toThrow('fullnameOverride: is required')
    await expect(render({ ...given, fullnameOverride: 'x1' })).resolves.toContain('name: x1')
  },
)

test('what the chart sets in a container is refused in its env, but for what one may have of its own', async ({
  expect,
}) => {
  const ofItsOwn = /^(PIPEOPS_LOG_LEVEL|HTTPS_PROXY|NO_PROXY)$/
  for (const profile of ['sidecars', 'edge']) {
    const values = {
      agent: { ...agent, id: 'x', httpsProxy: 'http://h:1', noProxy: 'x' },
      console: { existingSecret: 'x' },
      proxy: { allowedServices: ['a/b:1'] },
      profile,
    }
    const { pod } = parseRendered(await helm.template('agent', values))
    const given = pod.containers.map(({ name, env = [] }) => {
      const names = env.map((each) => each.name).filter((each) => !ofItsOwn.test(each))
      return [
        name === 'edge' ? 'link' : name,
        { env: Object.fromEntries(names.map((each) => [each, 'x'])) },
      ] as const
    })
    const message = await helm
      .template('agent', { agent, profile, ...Object.fromEntries(given) })
      .catch((error: Error) => error.message)
    for (const [sidecar, { env }] of given) {
      expect(Object.keys(env).length).toBeGreaterThan(5)
      for (const name of Object.keys(env))
        expect(message).toContain(`${sidecar}.env.${name}: is set by the chart`)
    }
  }
})

test('what the chart sets in the control plane is refused in its env', async ({ expect }) => {
  const values = {
    tls: { existingSecret: 'x' },
    publicUrl: 'https://x',
    users: { existingSecret: 'x' },
    nats: { url: 'nats://x' },
  }
  for (const given of [values, {}]) {
    const { pod } = parseRendered(await helm.template('controlPlane', given))
    const names = (pod.containers[0]?.env ?? []).map(({ name }) => name)
    const env = Object.fromEntries(names.map((name) => [name, 'x']))
    const message = await helm
      .template('controlPlane', { env })
      .catch((error: Error) => error.message)
    expect(names.length).toBeGreaterThan(10)
    for (const name of names) expect(message).toContain(`env.${name}: is set by the chart`)
  }
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
  expect(message).not.toContain('hunter2')
}
