import { beforeAll, describe, expect, test } from 'vitest'

import { environmentOf } from './environment.testing.ts'
import { type Helm, openHelm } from './helm.ts'
import { checkInvariants } from './invariants.testing.ts'
import { parseRendered, type Rendered } from './objects.ts'

let helm: Helm
beforeAll(async () => {
  helm = await openHelm()
})

const name = 'cp-pipeops-control-plane'
const env = (rendered: Rendered): Record<string, string> =>
  environmentOf(rendered, rendered.container('control-plane'))

const testPod = {
  podSelector: { matchLabels: { 'app.kubernetes.io/name': 'pipeops-control-plane-test' } },
}

type Case = { name: string; values?: object; check(rendered: Rendered): void }

const cases: Case[] = [
  {
    name: 'by default: one pod, its data on a volume, a certificate made out for the Service',
    check(rendered) {
      expect(rendered.get('StatefulSet').spec).toMatchObject({ replicas: 1 })
      expect(rendered.get('PersistentVolumeClaim', `${name}-data`).spec).toMatchObject({
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: '1Gi' } },
      })
      expect(env(rendered)).toMatchObject({
        CONTROL_PLANE_DATA_DIR: '/data',
        CONTROL_PLANE_PUBLIC_URL: `https://${name}.cp.svc`,
      })
      expect(env(rendered)['CONTROL_PLANE_TLS_CERT_FILE']).toBeUndefined()
      expect(rendered.container('control-plane').volumeMounts).toStrictEqual([
        { name: 'data', mountPath: '/data' },
      ])
      expect(rendered.get('Service', name).spec).toMatchObject({
        type: 'ClusterIP',
        ports: [{ port: 443, targetPort: 'api' }],
      })
    },
  },
  {
    name: 'its command line works inside the pod without arguments',
    check: (rendered) =>
      expect(env(rendered)).toMatchObject({
        CONTROL_PLANE_URL: 'https://localhost:8443',
        CONTROL_PLANE_CA_FILE: '/data/ca.crt',
        CONTROL_PLANE_TOKEN_FILE: '/data/admin.token',
      }),
  },
  {
    name: 'a given certificate is used',
    values: { tls: { existingSecret: 'cp-tls' }, publicUrl: 'https://cp.corp/' },
    check(rendered) {
      expect(env(rendered)).toMatchObject({
        CONTROL_PLANE_TLS_CERT_FILE: '/run/secrets/tls/tls.crt',
        CONTROL_PLANE_TLS_KEY_FILE: '/run/secrets/tls/tls.key',
        CONTROL_PLANE_PUBLIC_URL: 'https://cp.corp',
        CONTROL_PLANE_URL: 'https://cp.corp',
      })
      expect(env(rendered)['CONTROL_PLANE_CA_FILE']).toBeUndefined()
    },
  },
  {
    name: 'static users come from a Secret',
    values: { users: { existingSecret: 'people', existingSecretKey: 'csv' } },
    check(rendered) {
      expect(env(rendered)['CONTROL_PLANE_TOKENS_FILE']).toBe('/run/secrets/users/tokens.csv')
      expect(rendered.pod.volumes).toContainEqual({
        name: 'users',
        secret: {
          secretName: 'people',
          defaultMode: 0o440,
          items: [{ key: 'csv', path: 'tokens.csv' }],
        },
      })
    },
  },
  {
    name: 'an external NATS is used, and the network policy lets it through',
    values: { nats: { url: 'tls://nats.corp:4443' }, networkPolicy: { enabled: true } },
    check(rendered) {
      expect(env(rendered)['CONTROL_PLANE_NATS_URL']).toBe('tls://nats.corp:4443')
      expect(rendered.get('NetworkPolicy').spec?.['egress']).toContainEqual({
        ports: [{ protocol: 'TCP', port: 4443 }],
      })
    },
  },
  {
    name: 'a NATS URL with credentials stays in its Secret',
    values: { nats: { existingSecret: 'nats' } },
    check: (rendered) =>
      expect(rendered.container('control-plane').env).toContainEqual({
        name: 'CONTROL_PLANE_NATS_URL',
        valueFrom: { secretKeyRef: { name: 'nats', key: 'url' } },
      }),
  },
  {
    name: 'the volume stays behind if asked',
    values: { persistence: { keep: true, size: '20Gi', storageClass: 'fast' } },
    check(rendered) {
      const claim = rendered.get('PersistentVolumeClaim')
      expect(claim.metadata.annotations).toStrictEqual({ 'helm.sh/resource-policy': 'keep' })
      expect(claim.spec).toMatchObject({ storageClassName: 'fast' })
    },
  },
  {
    name: 'without persistence there is no claim',
    values: { persistence: { enabled: false } },
    check(rendered) {
      expect(rendered.find('PersistentVolumeClaim')).toBeUndefined()
      expect(rendered.pod.volumes).toStrictEqual([{ name: 'data', emptyDir: {} }])
    },
  },
  {
    name: 'a load balancer keeps its sources, a port of one’s own is in the URL',
    values: {
      service: {
        type: 'LoadBalancer',
        port: 8443,
        nodePort: 30_443,
        loadBalancerSourceRanges: ['192.0.2.0/24'],
        externalTrafficPolicy: 'Local',
      },
    },
    check(rendered) {
      expect(rendered.get('Service', name).spec).toMatchObject({
        type: 'LoadBalancer',
        externalTrafficPolicy: 'Local',
        loadBalancerSourceRanges: ['192.0.2.0/24'],
        ports: [{ port: 8443, nodePort: 30_443 }],
      })
      expect(env(rendered)['CONTROL_PLANE_PUBLIC_URL']).toBe(`https://${name}.cp.svc:8443`)
    },
  },
  {
    name: 'the network policy takes clients on the API port and scrapers on the health port only',
    values: {
      networkPolicy: { enabled: true, clientsFrom: [{ ipBlock: { cidr: '192.0.2.0/24' } }] },
    },
    check: (rendered) =>
      expect(rendered.get('NetworkPolicy').spec).toMatchObject({
        ingress: [
          { ports: [{ port: 'api' }], from: [{ ipBlock: { cidr: '192.0.2.0/24' } }] },
          { ports: [{ port: 'health' }], from: [testPod, { podSelector: {} }] },
        ],
        egress: [{ ports: [{ port: 53 }, { port: 53 }] }],
      }),
  },
  {
    name: 'a ServiceMonitor meets the health Service and not the API’s',
    values: { metrics: { serviceMonitor: { enabled: true } } },
    check(rendered) {
      const { matchLabels } = (
        rendered.get('ServiceMonitor').spec as {
          selector: { matchLabels: Record<string, string> }
        }
      ).selector
      expect(rendered.get('Service', `${name}-health`).metadata.labels).toMatchObject(matchLabels)
      expect(rendered.get('Service', name).metadata.labels).not.toMatchObject(matchLabels)
    },
  },
  {
    name: 'the platform may assign the ids',
    values: { podSecurityContext: null },
    check: (rendered) =>
      expect(rendered.pod.securityContext).toStrictEqual({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      }),
  },
  {
    name: 'times, log level and more environment reach the process',
    values: {
      waitSeconds: 5,
      heartbeatSeconds: 10,
      shutdownGraceSeconds: 60,
      config: { logging: { level: 'warn' } },
      env: { CONTROL_PLANE_HOST: '::' },
      metrics: { podMonitor: { enabled: true } },
    },
    check(rendered) {
      expect(env(rendered)).toMatchObject({
        CONTROL_PLANE_WAIT_SECONDS: '5',
        CONTROL_PLANE_HEARTBEAT_SECONDS: '10',
        SHUTDOWN_GRACE_SECONDS: '60',
        PIPEOPS_LOG_LEVEL: 'warn',
        CONTROL_PLANE_HOST: '::',
      })
      expect(rendered.pod.terminationGracePeriodSeconds).toBe(70)
    },
  },
]

describe.concurrent('template', () => {
  test.for(cases)('$name', async ({ values = {}, check }) => {
    const text = await helm.template('controlPlane', values, { release: 'cp', namespace: 'cp' })
    const rendered = parseRendered(text)
    check(rendered)
    await checkInvariants(rendered)
    expect(rendered.objects.filter(({ kind }) => kind === 'Secret')).toStrictEqual([])
  })
})
