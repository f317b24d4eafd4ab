import { parseAllDocuments } from 'yaml'

/** An object of the Kubernetes API, as far as this package looks into one. */
export type KubeObject = {
  apiVersion: string
  kind: string
  metadata: {
    name: string
    namespace?: string
    labels?: Record<string, string>
    annotations?: Record<string, string>
  }
  spec?: Record<string, unknown>
  data?: Record<string, string>
  stringData?: Record<string, string>
  rules?: Rule[]
  roleRef?: { kind: string; name: string }
  subjects?: { kind: string; name: string; namespace?: string }[]
}

export type Rule = {
  apiGroups?: string[]
  resources?: string[]
  nonResourceURLs?: string[]
  resourceNames?: string[]
  verbs: string[]
}

export type EnvVar = {
  name: string
  value?: string
  valueFrom?: Record<string, { key?: string; name?: string; fieldPath?: string }>
}

export type Container = {
  name: string
  image: string
  command: string[]
  args?: string[]
  restartPolicy?: string
  ports?: { name: string; containerPort: number }[]
  env?: EnvVar[]
  resources: { requests?: Record<string, string>; limits?: Record<string, string> }
  securityContext: Record<string, unknown>
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[]
  startupProbe?: Probe
  livenessProbe?: Probe
  readinessProbe?: Probe
}

export type Probe = { httpGet: { path: string; port: number | string } }

export type Volume = {
  name: string
  secret?: { secretName: string; items?: { key: string; path: string }[] }
  configMap?: { name: string }
  emptyDir?: object
  persistentVolumeClaim?: { claimName: string }
  projected?: { sources: Record<string, unknown>[] }
}

export type PodSpec = {
  serviceAccountName?: string
  automountServiceAccountToken: boolean
  terminationGracePeriodSeconds?: number
  securityContext: Record<string, unknown>
  initContainers?: Container[]
  containers: Container[]
  volumes?: Volume[]
} & Record<string, unknown>

/** What a chart made. */
export type Rendered = {
  text: string
  objects: KubeObject[]
  /** Undefined where there is none of that kind, or none of that name. */
  find(kind: string, name?: string): KubeObject | undefined
  /** The one that must be there. */
  get(kind: string, name?: string): KubeObject
  /** The pod of the Deployment or StatefulSet. */
  pod: PodSpec
  podLabels: Record<string, string>
  podAnnotations: Record<string, string>
  /** A container of that pod, of either sort. */
  container(name: string): Container
}

/** Parses rendered YAML the way Kubernetes reads it (YAML 1.1: 0440 is octal). */
export function parseObjects(text: string): KubeObject[] {
  const documents = parseAllDocuments(text, { version: '1.1', merge: true })
  return documents.flatMap((document) => {
    if (document.errors.length > 0) throw document.errors[0] as Error
    const object = document.toJS() as KubeObject | null
    return object === null ? [] : [object]
  })
}

/** A closer look at rendered YAML that has one workload. */
export function parseRendered(text: string): Rendered {
  const objects = parseObjects(text)
  const find = (kind: string, name?: string): KubeObject | undefined =>
    objects.find(
      (each) => each.kind === kind && (name === undefined || each.metadata.name === name),
    )
  const get = (kind: string, name?: string): KubeObject => {
    const found = find(kind, name)
    if (found === undefined) throw new Error(`no ${kind} ${name ?? ''} was rendered`)
    return found
  }
  const workload = find('Deployment') ?? get('StatefulSet')
  const { template } = workload.spec as {
    template: { metadata: KubeObject['metadata']; spec: PodSpec }
  }
  const { metadata, spec: pod } = template
  return {
    text,
    objects,
    find,
    get,
    pod,
    podLabels: metadata.labels ?? {},
    podAnnotations: metadata.annotations ?? {},
    container(name) {
      const all = [...(pod.initContainers ?? []), ...pod.containers]
      const found = all.find((each) => each.name === name)
      if (found === undefined) throw new Error(`no container ${name} was rendered`)
      return found
    },
  }
}
