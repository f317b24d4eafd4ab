import { beforeAll, describe, expect, test } from 'vitest'

import { environmentOf } from './environment.testing.ts'
import { type Helm, openHelm, type RenderOptions } from './helm.ts'
import { checkInvariants } from './invariants.testing.ts'
import { merge } from './merge.testing.ts'
import { type KubeObject, parseRendered, type Rendered } from './objects.ts'

let helm: Helm
beforeAll(async () => {
  helm = await openHelm()
})

const token = 'sentinel-of-the-agent-token'
const base = { agent: { pipeops: { token }, cluster: { name: 'prod' } } }
const saToken = '/var/run/secrets/kubernetes.io/serviceaccount'

const names = (rendered: Rendered): string[] => rendered.pod.containers.map(({ name }) => name)
const mountsOf = (rendered: Rendered, name: string): string[] =>
  (rendered.container(name).volumeMounts ?? []).map(({ mountPath }) => mountPath)
const env = (rendered: Rendered, name: string): Record<string, string> =>
  environmentOf(rendered, rendered.container(name))
const rules = (rendered: Rendered): string[] =>
  (rendered.find('ClusterRole', 'pipeops-system:pipeops-pipeops-agent')?.rules ?? []).map(
    ({ verbs, resources = [], resourceNames }) =>
      `${verbs.join()} ${resources.join()} ${resourceNames?.join() ?? ''}`.trim(),
  )
const egressPorts = (rendered: Rendered): number[] => {
  const { egress } = rendered.get('NetworkPolicy').spec as {
    egress: { ports?: { port: number }[] }[]
  }
  return egress.flatMap(({ ports = [] }) => ports.map(({ port }) => port))
}

/** Whom the network policy lets in. */
const ingressFrom = (rendered: Rendered): object[] => {
  const { ingress } = rendered.get('NetworkPolicy').spec as { ingress: { from: object[] }[] }
  return ingress.flatMap(({ from }) => from)
}
const testPod = {
  podSelector: {
    matchLabels: {
      'app.kubernetes.io/name': 'pipeops-agent-test',
      'app.kubernetes.io/instance': 'pipeops',
    },
  },
}
const long = (length: number): string => 'x'.repeat(length)

type Case = {
  /** The guarantee. */
  name: string
  values?: object
  options?: RenderOptions
  check(rendered: Rendered): void
}

const cases: Case[] = [
  {
    name: 'a token and a name are enough: link, proxy and console, with the bus before them',
    check(rendered) {
      expect(names(rendered)).toStrictEqual(['link', 'proxy', 'console'])
      expect(rendered.pod.initContainers?.map(({ name }) => name)).toStrictEqual(['nats'])
      expect(rendered.container('nats')).toMatchObject({
        restartPolicy: 'Always',
        command: ['nats-server', '-c', '/etc/nats/nats.conf'],
      })
      for (const name of names(rendered)) {
        expect(rendered.container(name).command).toStrictEqual([
          ...['node', '--max-semi-space-size=1', '--v8-pool-size=1'],
          ...(name === 'proxy' ? ['--initial-old-space-size=64'] : []),
          `/app/${name}.mjs`,
        ])
      }
      expect(env(rendered, 'link')).toMatchObject({
        PIPEOPS_API_URL: 'https://api.pipeops.sh',
        PIPEOPS_CLUSTER_NAME: 'prod',
        PIPEOPS_STATE_NAMESPACE: 'pipeops-system',
      })
    },
  },
  {
    name: 'the bus listens on loopback only and asks for the token that the sidecars read',
    check(rendered) {
      const { stringData } = rendered.get('Secret', 'pipeops-pipeops-agent-bus')
      expect(stringData?.['token']).toMatch(/^[A-Za-z0-9]{40}$/)
      expect(stringData?.['nats.conf']).toBe(
        `listen: "127.0.0.1:4222"\nauthorization { token: "${stringData?.['token']}" }\n`,
      )
      expect(env(rendered, 'link')['BUS_TOKEN_FILE']).toBe('/run/secrets/bus/token')
      expect(mountsOf(rendered, 'link')).toContain('/run/secrets/bus')
      expect(mountsOf(rendered, 'nats')).toStrictEqual(['/etc/nats'])
    },
  },
  {
    name: 'each credential is mounted only where it is needed',
    check(rendered) {
      expect(mountsOf(rendered, 'link')).toContain('/run/secrets/pipeops')
      expect(mountsOf(rendered, 'proxy')).not.toContain('/run/secrets/pipeops')
      expect(mountsOf(rendered, 'link')).toContain(saToken)
      expect(mountsOf(rendered, 'proxy')).toContain(saToken)
      for (const name of ['console', 'nats']) {
        expect(mountsOf(rendered, name)).not.toContain(saToken)
        expect(mountsOf(rendered, name)).not.toContain('/run/secrets/pipeops')
      }
      expect(rendered.get('ServiceAccount')).toMatchObject({ automountServiceAccountToken: false })
    },
  },
  {
    name: 'a token in a Secret of one’s own: none is made, and its key is found',
    values: {
      agent: {
        pipeops: { token: '', existingSecret: 'mine', existingSecretKey: 'agent' },
        cluster: { name: 'prod' },
      },
    },
    check(rendered) {
      expect(rendered.find('Secret', 'pipeops-pipeops-agent-token')).toBeUndefined()
      expect(rendered.pod.volumes).toContainEqual(
        expect.objectContaining({
          name: 'agent-token',
          secret: expect.objectContaining({
            secretName: 'mine',
            items: [{ key: 'agent', path: 'token' }],
          }),
        }),
      )
    },
  },
  {
    name: 'replicas are containers of one pod, each with its own port, name and Service port',
    values: {
      link: { replicas: 2 },
      proxy: { replicas: 3, connections: 2 },
      console: { replicas: 2 },
    },
    check(rendered) {
      expect(
        rendered.pod.containers.map(({ name, ports }) => `${name}:${ports?.[0]?.containerPort}`),
      ).toStrictEqual([
        ...['link:8081', 'link-2:8091'],
        ...['proxy:8082', 'proxy-2:8092', 'proxy-3:8102'],
        ...['console:8080', 'console-2:8090'],
      ])
      expect(env(rendered, 'proxy-3')).toMatchObject({
        HEALTH_PORT: '8102',
        PROXY_CONNECTIONS: '2',
        PIPEOPS_INSTANCE: '$(PIPEOPS_POD_NAME)-proxy-3',
      })
      expect(env(rendered, 'console-2')).toMatchObject({ PIPEOPS_PORT: '8090' })
      expect(rendered.container('proxy-3').command.at(-1)).toBe('/app/proxy.mjs')
      const { ports } = rendered.get('Service', 'pipeops-pipeops-agent').spec as {
        ports: object[]
      }
      expect(ports).toHaveLength(7)
    },
  },
  {
    name: 'without proxy: no container, no impersonation, none of its settings, no Service opened',
    values: {
      proxy: { enabled: false, allowedServices: ['shop/web:80'] },
      rbac: { users: ['alice'], groups: ['developers'], profile: 'admin' },
    },
    check(rendered) {
      expect(names(rendered)).toStrictEqual(['link', 'console'])
      expect(rendered.text).not.toMatch(/impersonate|PROXY_|shop|cluster-admin|alice/)
      expect(rules(rendered)).toStrictEqual(['list,watch nodes,pods', 'list nodes'])
      expect(env(rendered, 'console')['CONSOLE_EXPECTS']).toBe('link,console')
    },
  },
  {
    name: 'without console: no container and no Service for it',
    values: { console: { enabled: false } },
    check(rendered) {
      expect(names(rendered)).toStrictEqual(['link', 'proxy'])
      expect(rendered.find('Service', 'pipeops-pipeops-agent-console')).toBeUndefined()
      expect(rendered.text).not.toMatch(/8080|CONSOLE_|tokenreviews|accessreviews/)
    },
  },
  {
    name: 'the console lets in whom RBAC lets in, and who has the token in its Secret',
    values: { console: { existingSecret: 'door', existingSecretKey: 'key' } },
    check(rendered) {
      expect(env(rendered, 'console')).toMatchObject({
        CONSOLE_AUTH: 'required',
        CONSOLE_TOKEN_FILE: '/run/secrets/console/token',
      })
      expect(mountsOf(rendered, 'console')).toContain('/run/secrets/console')
      expect(mountsOf(rendered, 'proxy')).not.toContain('/run/secrets/console')
      expect(rules(rendered)).toContain('create subjectaccessreviews')
    },
  },
  {
    name: 'a console open to everybody asks the cluster nothing',
    values: { console: { auth: 'none' } },
    check(rendered) {
      expect(env(rendered, 'console')['CONSOLE_AUTH']).toBe('none')
      expect(rendered.text).not.toMatch(/tokenreviews|accessreviews/)
    },
  },
  {
    name: 'without link and proxy: no credential and no right is left, and the identity stays',
    values: { link: { enabled: false }, proxy: { enabled: false } },
    check(rendered) {
      expect(names(rendered)).toStrictEqual(['console'])
      expect(env(rendered, 'console')['CONSOLE_EXPECTS']).toBe('console')
      expect(rendered.text).not.toContain(token)
      expect(rendered.text).not.toContain('serviceAccountToken:')
      expect(rendered.text).not.toContain('PIPEOPS_API_URL')
      for (const kind of ['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding']) {
        expect(rendered.find(kind)).toBeUndefined()
      }
      rendered.get('ConfigMap', 'pipeops-pipeops-agent-state')
      rendered.get('Secret', 'pipeops-pipeops-agent-secrets')
    },
  },
  {
    name: 'link alone: the agent is seen, and nobody gets through',
    values: { proxy: { enabled: false }, console: { enabled: false } },
    check(rendered) {
      expect(names(rendered)).toStrictEqual(['link'])
      expect(rendered.podAnnotations['kubectl.kubernetes.io/default-container']).toBe('link')
    },
  },
  {
    name: 'one pod is replaced, never doubled, and no budget blocks a drain',
    check(rendered) {
      expect(rendered.get('Deployment').spec).toMatchObject({
        replicas: 1,
        strategy: { type: 'Recreate' },
      })
      expect(rendered.find('PodDisruptionBudget')).toBeUndefined()
      expect(rendered.pod['topologySpreadConstraints']).toBeUndefined()
    },
  },
  {
    name: 'several pods roll without a gap, spread over nodes, and are not drained together',
    values: { podReplicas: 2 },
    check(rendered) {
      expect(rendered.get('Deployment').spec).toMatchObject({
        replicas: 2,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      })
      expect(rendered.get('PodDisruptionBudget').spec).toMatchObject({ maxUnavailable: 1 })
      expect(rendered.pod['topologySpreadConstraints']).toMatchObject([
        { topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway' },
      ])
    },
  },
  {
    name: 'a disruption budget can be turned off',
    values: { podReplicas: 3, podDisruptionBudget: { enabled: false } },
    check: (rendered) => expect(rendered.find('PodDisruptionBudget')).toBeUndefined(),
  },
  {
    name: 'impersonation is limited to the listed users and groups',
    values: { rbac: { users: ['alice@example.com', 'bob'], groups: ['developers'] } },
    check(rendered) {
      expect(rules(rendered)).toContain('impersonate users alice@example.com,bob')
      expect(rules(rendered)).toContain('impersonate groups developers')
    },
  },
  {
    name: 'nobody listed: no right to impersonate at all',
    check: (rendered) => expect(rendered.text).not.toContain('impersonate'),
  },
  {
    name: 'rbac.create=false: no right is made',
    values: { rbac: { create: false, profile: 'admin', users: ['alice'] } },
    check(rendered) {
      expect(rendered.objects.filter(({ kind }) => /Role/.test(kind))).toStrictEqual([])
      expect(rendered.find('ServiceAccount')).toBeDefined()
    },
  },
  {
    name: 'a ServiceAccount of one’s own is used and bound, and none is made',
    values: { serviceAccount: { create: false, name: 'mine' } },
    check(rendered) {
      expect(rendered.find('ServiceAccount')).toBeUndefined()
      expect(rendered.pod.serviceAccountName).toBe('mine')
      expect(rendered.get('ClusterRoleBinding').subjects?.[0]).toMatchObject({ name: 'mine' })
    },
  },
  {
    name: 'the state’s objects go with the release; link may change them and make no Secret',
    check(rendered) {
      for (const [kind, name] of [
        ['ConfigMap', 'pipeops-pipeops-agent-state'],
        ['Secret', 'pipeops-pipeops-agent-secrets'],
      ] as const) {
        const object = rendered.get(kind, name)
        expect(object.metadata.annotations).toBeUndefined()
        expect(object.data ?? object.stringData).toBeUndefined()
      }
      expect(rendered.get('Role').rules).toContainEqual({
        apiGroups: [''],
        resources: ['configmaps'],
        verbs: ['create'],
      })
    },
  },
  {
    name: 'state is kept on uninstall if asked',
    values: { agent: { state: { keep: true } } },
    check(rendered) {
      const keep = { 'helm.sh/resource-policy': 'keep' }
      expect(rendered.get('ConfigMap', 'pipeops-pipeops-agent-state').metadata.annotations).toEqual(
        keep,
      )
      expect(rendered.get('Secret', 'pipeops-pipeops-agent-secrets').metadata.annotations).toEqual(
        keep,
      )
    },
  },
  {
    name: 'state that exists is taken over: link may make what is missing',
    values: {
      agent: {
        state: { create: false, configMapName: 'pipeops-agent-state', secretName: 'old-secrets' },
      },
    },
    check(rendered) {
      expect(rendered.find('ConfigMap', 'pipeops-agent-state')).toBeUndefined()
      expect(env(rendered, 'link')).toMatchObject({
        PIPEOPS_STATE_CONFIGMAP_NAME: 'pipeops-agent-state',
        PIPEOPS_STATE_SECRET_NAME: 'old-secrets',
      })
      expect(rendered.get('Role').rules).toContainEqual(
        expect.objectContaining({ resources: ['configmaps', 'secrets'], verbs: ['create'] }),
      )
    },
  },
  {
    name: 'authorities given as PEM reach those who dial the control plane',
    values: {
      agent: {
        pipeops: {
          tls: { caBundle: '-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n' },
        },
      },
    },
    check(rendered) {
      expect(rendered.get('ConfigMap', 'pipeops-pipeops-agent-ca').data?.['ca.crt']).toContain(
        'MII=',
      )
      for (const name of ['link', 'proxy']) {
        expect(env(rendered, name)['PIPEOPS_CA_FILE']).toBe('/run/pipeops/ca/ca.crt')
        expect(mountsOf(rendered, name)).toContain('/run/pipeops/ca')
      }
      expect(mountsOf(rendered, 'console')).not.toContain('/run/pipeops/ca')
    },
  },
  {
    name: 'authorities in a ConfigMap of one’s own are mounted from there',
    values: {
      agent: {
        pipeops: { tls: { existingConfigMap: 'corp-ca', existingConfigMapKey: 'root.pem' } },
      },
    },
    check(rendered) {
      expect(rendered.find('ConfigMap', 'pipeops-pipeops-agent-ca')).toBeUndefined()
      expect(rendered.pod.volumes).toContainEqual({
        name: 'control-plane-ca',
        configMap: { name: 'corp-ca', items: [{ key: 'root.pem', path: 'ca.crt' }] },
      })
    },
  },
  {
    name: 'the way out through a proxy is told to those who dial',
    values: { agent: { httpsProxy: 'http://proxy.corp:3128', noProxy: '10.0.0.0/8' } },
    check(rendered) {
      for (const name of ['link', 'proxy']) {
        expect(env(rendered, name)).toMatchObject({
          HTTPS_PROXY: 'http://proxy.corp:3128',
          NO_PROXY: '10.0.0.0/8',
        })
      }
      expect(env(rendered, 'console')['HTTPS_PROXY']).toBeUndefined()
    },
  },
  {
    name: 'a bus token made in the pod needs no Secret and renders the same each time',
    values: { nats: { tokenFrom: 'pod' } },
    check(rendered) {
      expect(rendered.find('Secret', 'pipeops-pipeops-agent-bus')).toBeUndefined()
      expect(rendered.pod.initContainers?.map(({ name }) => name)).toStrictEqual([
        'bus-token',
        'nats',
      ])
      expect(rendered.pod.volumes).toContainEqual({
        name: 'bus',
        emptyDir: { medium: 'Memory', sizeLimit: '1Mi' },
      })
      expect(rendered.podAnnotations['checksum/bus']).toBeUndefined()
    },
  },
  {
    name: 'images are taken by digest where one is given, else by tag, from where one says',
    values: {
      image: { repository: 'registry.corp/agent', digest: `sha256:${'a'.repeat(64)}` },
      nats: { image: { repository: 'registry.corp/nats', tag: '2.12' } },
      imagePullSecrets: [{ name: 'corp' }],
    },
    check(rendered) {
      expect(rendered.container('proxy').image).toBe(`registry.corp/agent@sha256:${'a'.repeat(64)}`)
      expect(rendered.container('nats').image).toBe('registry.corp/nats:2.12')
      expect(rendered.pod['imagePullSecrets']).toStrictEqual([{ name: 'corp' }])
    },
  },
  {
    name: 'the environment of one sidecar can be added to; its log level and way out can be its own',
    values: {
      proxy: {
        env: {
          PROXY_CANARY_INTERVAL_SECONDS: 7,
          PROXY_IMPERSONATE: true,
          PIPEOPS_LOG_LEVEL: 'debug',
          HTTPS_PROXY: { valueFrom: { secretKeyRef: { name: 'way-out', key: 'url' } } },
        },
      },
    },
    check(rendered) {
      expect(env(rendered, 'proxy')).toMatchObject({
        PROXY_CANARY_INTERVAL_SECONDS: '7',
        PROXY_IMPERSONATE: 'true',
        PIPEOPS_LOG_LEVEL: 'debug',
      })
      expect(rendered.container('proxy').env).toContainEqual({
        name: 'HTTPS_PROXY',
        valueFrom: { secretKeyRef: { name: 'way-out', key: 'url' } },
      })
      expect(env(rendered, 'link')['PROXY_CANARY_INTERVAL_SECONDS']).toBeUndefined()
      expect(env(rendered, 'link')['PIPEOPS_LOG_LEVEL']).toBe('info')
    },
  },
  {
    name: 'resources of each sidecar are its own',
    values: {
      proxy: { resources: { requests: { cpu: 1 }, limits: { memory: '1Gi', cpu: '1500m' } } },
    },
    check(rendered) {
      expect(rendered.container('proxy').resources).toMatchObject({
        requests: { cpu: 1, memory: '48Mi' },
        limits: { memory: '1Gi', cpu: '1500m' },
      })
      expect(rendered.container('link').resources.limits).toStrictEqual({ memory: '96Mi' })
    },
  },
  {
    name: 'Services that may be reached are told to the proxy',
    values: { proxy: { allowedServices: ['shop/web:80', 'obs/grafana:3000'] } },
    check: (rendered) =>
      expect(env(rendered, 'proxy')['PROXY_ALLOWED_SERVICES']).toBe('shop/web:80,obs/grafana:3000'),
  },
  {
    name: 'the network policy opens the documented ways and no other',
    values: {
      networkPolicy: { enabled: true },
      proxy: { allowedServices: ['shop/web:80', 'shop/cart:80'] },
    },
    check(rendered) {
      expect(egressPorts(rendered)).toStrictEqual([53, 53, 443, 443, 6443])
      const { ingress, egress } = rendered.get('NetworkPolicy').spec as {
        ingress: { ports: { port: string }[] }[]
        egress: object[]
      }
      expect(ingress).toHaveLength(1)
      expect(ingressFrom(rendered)).toStrictEqual([testPod, { podSelector: {} }])
      const { metadata } = rendered.get('Pod', 'pipeops-pipeops-agent-test')
      expect(metadata.labels).toMatchObject(testPod.podSelector.matchLabels)
      expect(ingress[0]?.ports.map(({ port }) => port)).toStrictEqual(['link', 'proxy', 'console'])
      expect(egress.slice(3)).toStrictEqual([
        {
          to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'shop' } } }],
        },
      ])
    },
  },
  {
    name: 'the network policy follows the port of what is dialled; `helm test` gets in whoever else does not',
    values: {
      networkPolicy: { enabled: true, ingressFrom: [], apiServer: { ports: [16443] } },
      agent: { pipeops: { apiUrl: 'https://cp.corp:8443' }, httpsProxy: 'http://proxy.corp:3128' },
    },
    check(rendered) {
      expect(egressPorts(rendered)).toStrictEqual([53, 53, 3128, 16443])
      expect(ingressFrom(rendered)).toStrictEqual([testPod])
    },
  },
  {
    name: 'no way to the API server is opened for a pod that has no credential for it',
    values: {
      networkPolicy: { enabled: true },
      link: { enabled: false },
      proxy: { enabled: false },
    },
    check: (rendered) => expect(egressPorts(rendered)).toStrictEqual([53, 53]),
  },
  {
    name: 'a PodMonitor scrapes the console, which has the metrics of the whole pod',
    values: {
      metrics: { podMonitor: { enabled: true, labels: { release: 'prom' } } },
      proxy: { replicas: 2 },
    },
    check(rendered) {
      const monitor = rendered.get('PodMonitor')
      expect(monitor.metadata.labels).toMatchObject({ release: 'prom' })
      expect(monitor.spec?.['podMetricsEndpoints']).toMatchObject([
        { port: 'console', path: '/metrics' },
      ])
    },
  },
  {
    name: 'without the console, monitors scrape every container',
    values: {
      metrics: { podMonitor: { enabled: true } },
      console: { enabled: false },
      proxy: { replicas: 2 },
    },
    check(rendered) {
      expect(rendered.get('PodMonitor').spec?.['podMetricsEndpoints']).toMatchObject(
        ['link', 'proxy', 'proxy-2'].map((port) => ({ port, path: '/metrics' })),
      )
    },
  },
  {
    name: 'a ServiceMonitor finds one of the two Services that lead to the console',
    values: { metrics: { serviceMonitor: { enabled: true, interval: '10s' } } },
    check(rendered) {
      const { endpoints, selector } = rendered.get('ServiceMonitor').spec as {
        endpoints: { port: string; interval: string }[]
        selector: { matchLabels: Record<string, string> }
      }
      expect(endpoints.map(({ port, interval }) => `${port} ${interval}`)).toStrictEqual([
        'console 10s',
      ])
      const service = rendered.get('Service', 'pipeops-pipeops-agent')
      expect(service.metadata.labels).toMatchObject(selector.matchLabels)
      expect(service.metadata.labels).not.toHaveProperty(['pipeops.io/service'])
    },
  },
  {
    name: 'the edge profile is one container with the settings and mounts of all, and no bus',
    values: {
      profile: 'edge',
      proxy: { connections: 2, env: { PROXY_CANARY_INTERVAL_SECONDS: 10 } },
      networkPolicy: { enabled: true },
      metrics: { podMonitor: { enabled: true } },
    },
    check(rendered) {
      expect(names(rendered)).toStrictEqual(['edge'])
      expect(rendered.pod.initContainers).toBeUndefined()
      expect(rendered.find('Secret', 'pipeops-pipeops-agent-bus')).toBeUndefined()
      expect(rendered.container('edge')).toMatchObject({
        command: [
          ...['node', '--max-semi-space-size=1', '--v8-pool-size=1'],
          ...['--initial-old-space-size=64', '/app/edge.mjs'],
        ],
        ports: [
          { name: 'edge', containerPort: 8081 },
          { name: 'console', containerPort: 8080 },
        ],
        readinessProbe: { httpGet: { path: '/readyz', port: 8081 } },
        resources: { requests: { memory: '64Mi' }, limits: { memory: '512Mi' } },
      })
      const variables = env(rendered, 'edge')
      expect(variables).toMatchObject({
        EDGE_SIDECARS: 'link,proxy,console',
        PIPEOPS_CLUSTER_NAME: 'prod',
        PROXY_CONNECTIONS: '2',
        PROXY_CANARY_INTERVAL_SECONDS: '10',
        PIPEOPS_PORT: '8080',
        HEALTH_PORT: '8081',
      })
      for (const name of ['BUS_URL', 'BUS_TOKEN_FILE', 'HEALTH_HOST']) {
        expect(variables).not.toHaveProperty(name)
      }
      expect(mountsOf(rendered, 'edge')).toStrictEqual([saToken, '/run/secrets/pipeops'])
      expect(rules(rendered)).toContain('list,watch nodes,pods')
      const { ingress } = rendered.get('NetworkPolicy').spec as {
        ingress: { ports: { port: string }[] }[]
      }
      expect(ingress[0]?.ports.map(({ port }) => port)).toStrictEqual(['edge', 'console'])
      expect(rendered.get('PodMonitor').spec?.['podMetricsEndpoints']).toMatchObject([
        { port: 'console' },
      ])
    },
  },
  {
    name: 'the edge profile takes the environment of all, and each wins over the chart’s',
    values: {
      profile: 'edge',
      agent: { httpsProxy: 'http://proxy.corp:3128' },
      link: { env: { HTTPS_PROXY: 'http://other.corp:3128' } },
      proxy: { env: { HTTPS_PROXY: 'http://other.corp:3128', PROXY_CANARY_INTERVAL_SECONDS: 9 } },
    },
    check: (rendered) =>
      expect(env(rendered, 'edge')).toMatchObject({
        HTTPS_PROXY: 'http://other.corp:3128',
        PROXY_CANARY_INTERVAL_SECONDS: '9',
      }),
  },
  {
    name: 'one sidecar’s way out wins over the chart’s in the edge profile',
    values: {
      profile: 'edge',
      agent: { httpsProxy: 'http://proxy.corp:3128' },
      link: { env: { HTTPS_PROXY: 'http://other.corp:3128' } },
    },
    check: (rendered) =>
      expect(env(rendered, 'edge')['HTTPS_PROXY']).toBe('http://other.corp:3128'),
  },
  {
    name: 'what is off is off in the edge profile, too',
    values: { profile: 'edge', console: { enabled: false }, proxy: { enabled: false } },
    check(rendered) {
      expect(env(rendered, 'edge')).toMatchObject({ EDGE_SIDECARS: 'link' })
      expect(env(rendered, 'edge')).not.toHaveProperty('PROXY_CONNECTIONS')
      expect(rendered.container('edge').ports).toStrictEqual([
        { name: 'edge', containerPort: 8081 },
      ])
      expect(rendered.find('Service', 'pipeops-pipeops-agent-console')).toBeUndefined()
    },
  },
  {
    name: 'where and how important the pod is can be said',
    values: {
      priorityClassName: 'system-cluster-critical',
      nodeSelector: { 'kubernetes.io/os': 'linux' },
      tolerations: [{ operator: 'Exists' }],
      affinity: { nodeAffinity: {} },
      podLabels: { team: 'platform' },
      podAnnotations: { note: 'x' },
      topologySpreadConstraints: [
        { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' },
      ],
    },
    check(rendered) {
      expect(rendered.pod).toMatchObject({
        priorityClassName: 'system-cluster-critical',
        nodeSelector: { 'kubernetes.io/os': 'linux' },
        tolerations: [{ operator: 'Exists' }],
        affinity: { nodeAffinity: {} },
        topologySpreadConstraints: [{ topologyKey: 'zone' }],
      })
      expect(rendered.podLabels).toMatchObject({ team: 'platform' })
      expect(rendered.podAnnotations).toMatchObject({ note: 'x' })
    },
  },
  {
    name: 'the pod runs as 1000, and as whom the platform says where ids are null',
    values: { podSecurityContext: null },
    check(rendered) {
      expect(rendered.pod.securityContext).toStrictEqual({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      })
    },
  },
  {
    name: 'a release that is named like the chart has the documented names',
    options: { release: 'pipeops-agent' },
    check(rendered) {
      rendered.get('Deployment', 'pipeops-agent')
      rendered.get('Secret', 'pipeops-agent-token')
      rendered.get('ConfigMap', 'pipeops-agent-config')
      expect(env(rendered, 'link')).toMatchObject({
        PIPEOPS_STATE_CONFIGMAP_NAME: 'pipeops-agent-state',
        PIPEOPS_STATE_SECRET_NAME: 'pipeops-agent-secrets',
      })
    },
  },
  {
    name: 'one id may be null',
    values: { podSecurityContext: { fsGroup: null } },
    check: (rendered) =>
      expect(rendered.pod.securityContext).toStrictEqual({
        runAsNonRoot: true,
        runAsUser: 1_000,
        runAsGroup: 1_000,
        seccompProfile: { type: 'RuntimeDefault' },
      }),
  },
  {
    name: 'a release with dots in its name has names that a Service may have',
    options: { release: 'team.edge.v2' },
    check(rendered) {
      rendered.get('Service', 'team-edge-v2-pipeops-agent-console')
      expect(rendered.podLabels).toMatchObject({ 'app.kubernetes.io/instance': 'team.edge.v2' })
    },
  },
  {
    name: 'names stay within their limits where all that go into them are long',
    values: { nameOverride: long(40) },
    options: { release: `${long(38)}.-${long(12)}`.replace('-', 'y') },
    check: (rendered) => expect(rendered.get('Deployment').metadata.name).toBe(`${long(38)}-y`),
  },
  {
    name: 'releases of the same name in two namespaces share no object of the cluster',
    values: { rbac: { profile: 'read-only', users: ['alice'] } },
    options: { namespace: 'other' },
    check(rendered) {
      const ofTheCluster = rendered.objects.filter(({ kind }) => kind.startsWith('ClusterRole'))
      expect(ofTheCluster).toHaveLength(7)
      for (const { metadata } of ofTheCluster)
        expect(metadata.name).toMatch(/^other:pipeops-pipeops-agent/)
    },
  },
  {
    name: 'names can be chosen',
    values: { fullnameOverride: 'edge', nameOverride: 'bridge' },
    options: { release: 'x', namespace: 'elsewhere' },
    check(rendered) {
      expect(rendered.get('Deployment', 'edge').metadata).toMatchObject({
        namespace: 'elsewhere',
        labels: { 'app.kubernetes.io/name': 'bridge', 'app.kubernetes.io/instance': 'x' },
      })
    },
  },
  {
    name: 'the log level reaches every sidecar',
    values: { config: { logging: { level: 'debug' } } },
    check(rendered) {
      for (const name of names(rendered)) {
        expect(env(rendered, name)['PIPEOPS_LOG_LEVEL']).toBe('debug')
      }
    },
  },
  {
    name: 'the pod lives ten seconds longer than its streams may',
    values: { shutdownGraceSeconds: 120 },
    check(rendered) {
      expect(env(rendered, 'proxy')['SHUTDOWN_GRACE_SECONDS']).toBe('120')
      expect(rendered.pod.terminationGracePeriodSeconds).toBe(130)
    },
  },
  {
    name: 'each container is probed on its own port: alive, ready, and time to start',
    values: { proxy: { replicas: 2 }, probes: { startup: { failureThreshold: 5 } } },
    check(rendered) {
      expect(rendered.container('proxy-2')).toMatchObject({
        startupProbe: {
          httpGet: { path: '/healthz', port: 8092 },
          failureThreshold: 5,
          periodSeconds: 2,
        },
        livenessProbe: { httpGet: { path: '/healthz', port: 8092 } },
        readinessProbe: { httpGet: { path: '/readyz', port: 8092 } },
      })
      expect(rendered.container('console')).toMatchObject({
        livenessProbe: { httpGet: { path: '/health', port: 8080 } },
        readinessProbe: { httpGet: { path: '/ready', port: 8080 } },
      })
    },
  },
  {
    name: 'the console’s Service can be of another type and port',
    values: {
      console: { service: { type: 'LoadBalancer', port: 80, annotations: { internal: 'true' } } },
    },
    check(rendered) {
      const service = rendered.get('Service', 'pipeops-pipeops-agent-console')
      expect(service.spec).toMatchObject({
        type: 'LoadBalancer',
        ports: [{ port: 80, targetPort: 'console' }],
      })
      expect(service.metadata.annotations).toStrictEqual({ internal: 'true' })
    },
  },
  {
    name: 'helm test asks every container that there is',
    values: { proxy: { replicas: 2 }, console: { enabled: false } },
    check(rendered) {
      const pod = rendered.get('Pod', 'pipeops-pipeops-agent-test')
      expect(pod.metadata.annotations).toMatchObject({ 'helm.sh/hook': 'test' })
      const { containers } = pod.spec as { containers: [{ env: [{ value: string }] }] }
      const host = 'http://pipeops-pipeops-agent.pipeops-system.svc'
      expect(JSON.parse(containers[0].env[0].value)).toStrictEqual({
        link: `${host}:8081/readyz`,
        proxy: `${host}:8082/readyz`,
        'proxy-2': `${host}:8092/readyz`,
      })
    },
  },
  {
    name: 'values of sidecars to come are accepted while they ask for nothing',
    values: {
      agent: {
        enableIngressSync: false,
        autoInstallComponents: false,
        gateway: {
          enabled: false,
          environment: { mode: 'managed', vmIP: '' },
          gatewayApi: { enabled: false, gatewayClass: 'cilium', listeners: [] },
        },
      },
    },
    check: (rendered) => expect(rendered.text).not.toContain('cilium'),
  },
]

describe.concurrent('template', () => {
  test.for(cases)('$name', async ({ values = {}, options, check }, { expect }) => {
    const rendered = parseRendered(await helm.template('agent', merge(base, values), options))
    check(rendered)
    await checkInvariants(rendered)
    const leaks = rendered.objects.filter(
      (object) => object.kind !== 'Secret' && JSON.stringify(object).includes(token),
    )
    expect(leaks.map(describeObject)).toStrictEqual([])
    expectNoBusToken(rendered)
  })
})

/** The bus token may stand in its Secret only. */
function expectNoBusToken({ objects, find }: Rendered): void {
  const secret = find(
    'Secret',
    objects.find(({ kind }) => kind === 'Deployment')?.metadata.name + '-bus',
  )
  const busToken = secret?.stringData?.['token']
  if (busToken === undefined) return
  const others = objects.filter((object) => object !== secret)
  expect(JSON.stringify(others)).not.toContain(busToken)
}

function describeObject({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.name}`
}
