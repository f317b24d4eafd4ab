import { expect } from 'vitest'

import { checkEnvironment, environmentOf } from './environment.testing.ts'
import type { Container, PodSpec, Rendered } from './objects.ts'

/** What must hold for a chart whatever its values are. */
export async function checkInvariants(rendered: Rendered): Promise<void> {
  checkNames(rendered)
  checkReferences(rendered)
  for (const object of rendered.objects) {
    if (object.kind === 'Pod') checkRestricted(object.spec as unknown as PodSpec)
  }
  checkRestricted(rendered.pod)
  for (const container of rendered.pod.containers) {
    const app = /\/app\/(.+)\.mjs$/.exec(container.command.at(-1) as string)?.[1] as string
    const elsewhere = (container.env ?? []).filter(({ value }) => value === undefined)
    await checkEnvironment(
      app,
      environmentOf(rendered, container),
      elsewhere.map(({ name }) => name),
    )
  }
}

/** The level `restricted` of the Pod Security Standards, and no more than it on the file system. */
function checkRestricted(pod: PodSpec): void {
  expect(pod.automountServiceAccountToken).toBe(false)
  expect(pod['enableServiceLinks']).toBe(false)
  expect(pod['hostNetwork'] ?? pod['hostPID'] ?? pod['hostIPC']).toBeUndefined()
  expect(pod.securityContext).toMatchObject({
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
  })
  for (const container of allContainers(pod)) {
    expect(container.securityContext, container.name).toStrictEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    expect(container.resources.limits?.['memory'], `${container.name} has a limit`).toBeDefined()
  }
  for (const volume of pod.volumes ?? []) {
    const [kind] = Object.keys(volume).filter((key) => key !== 'name')
    expect(['secret', 'configMap', 'emptyDir', 'projected', 'persistentVolumeClaim']).toContain(
      kind,
    )
  }
}

/** Nothing twice, and every port name short enough. */
function checkNames({ objects, pod }: Rendered): void {
  const unique = (names: (string | number)[]): void =>
    expect(names).toStrictEqual([...new Set(names)])
  unique(objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace} ${metadata.name}`))
  for (const { kind, metadata } of objects) {
    const label = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/
    if (kind === 'Service') expect(metadata.name, 'RFC 1035').toMatch(label)
    for (const value of Object.values(metadata.labels ?? {}))
      expect(value).toMatch(/^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/)
  }
  const all = allContainers(pod)
  unique(all.map(({ name }) => name))
  const ports = all.flatMap((container) => container.ports ?? [])
  unique(ports.map(({ containerPort }) => containerPort))
  unique(ports.map(({ name }) => name))
  for (const { name } of ports) expect(name).toMatch(/^[a-z]([-a-z0-9]{0,13}[a-z0-9])?$/)
  for (const { env = [] } of all) unique(env.map(({ name }) => name))
}

/** Selectors meet the pod, mounts meet volumes, target ports and role references meet what they name. */
function checkReferences(rendered: Rendered): void {
  const { objects, pod, podLabels } = rendered
  for (const { kind, spec, roleRef, metadata } of objects) {
    const selector = (spec?.['podSelector'] ?? spec?.['selector']) as
      | Record<string, unknown>
      | undefined
    const wanted = (selector?.['matchLabels'] ?? selector) as Record<string, string> | undefined
    if (wanted !== undefined && kind !== 'ServiceMonitor') expect(podLabels).toMatchObject(wanted)
    if (roleRef === undefined || ['cluster-admin', 'view', 'edit', 'admin'].includes(roleRef.name))
      continue
    expect(rendered.find(roleRef.kind, roleRef.name), `role of ${metadata.name}`).toBeDefined()
  }
  const volumes = new Set((pod.volumes ?? []).map(({ name }) => name))
  const mounted = new Set<string>()
  for (const { volumeMounts = [] } of allContainers(pod)) {
    for (const { name } of volumeMounts) {
      expect(volumes).toContain(name)
      mounted.add(name)
    }
  }
  expect(mounted, 'every volume is mounted by someone').toStrictEqual(volumes)
  const ports = new Set(pod.containers.flatMap(({ ports = [] }) => ports.map(({ name }) => name)))
  for (const { kind, spec } of objects) {
    if (kind !== 'Service') continue
    const { ports: served } = spec as { ports: { targetPort: string }[] }
    for (const { targetPort } of served) expect(ports).toContain(targetPort)
  }
}

function allContainers(pod: PodSpec): Container[] {
  return [...(pod.initContainers ?? []), ...pod.containers]
}
