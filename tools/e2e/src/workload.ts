import { testImage } from '@agent/cluster'
import type { Image } from '@agent/image'

const restrictedPod = {
  runAsNonRoot: true,
  runAsUser: 1_000,
  seccompProfile: { type: 'RuntimeDefault' },
}

/** What a container of a restricted pod says about itself. */
export const restrictedContainer = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
}

/** A pod that does nothing and brings Node, to look out of it. */
export function lookout(name: string, namespace: string, { name: image }: Image): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      securityContext: restrictedPod,
      containers: [
        {
          name,
          image,
          imagePullPolicy: 'Never',
          command: ['node', '-e', 'setInterval(() => {}, 2 ** 30)'],
          securityContext: restrictedContainer,
        },
      ],
    },
  }
}

/** Somebody's application: a small web server in a real container, behind a Service, with a folder to write to. */
export function webApp(name: string, namespace: string): object[] {
  const labels = { app: name }
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace },
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            automountServiceAccountToken: false,
            terminationGracePeriodSeconds: 1,
            securityContext: restrictedPod,
            containers: [
              {
                name,
                image: testImage,
                imagePullPolicy: 'Never',
                command: ['sh', '-c', 'echo the web server starts; exec httpd -f -p 8080 -h /www'],
                ports: [{ containerPort: 8_080 }],
                readinessProbe: { httpGet: { path: '/', port: 8_080 }, periodSeconds: 1 },
                securityContext: restrictedContainer,
                volumeMounts: [{ name: 'data', mountPath: '/data' }],
              },
            ],
            volumes: [{ name: 'data', emptyDir: {} }],
          },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace },
      spec: { selector: labels, ports: [{ port: 80, targetPort: 8_080 }] },
    },
  ]
}
