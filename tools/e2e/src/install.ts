import { chown, mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { Image } from '@agent/image'

import { until } from './until.ts'
import type { World } from './world.ts'

const deploy = join(import.meta.dirname, '../../../deploy')
const nodePort = 30_443

/** The charts' folders. */
export const charts = {
  agent: join(deploy, 'chart'),
  controlPlane: join(deploy, 'chart-control-plane'),
}

export const names = {
  cluster: 'e2e',
  controlPlane: { release: 'pipeops-control-plane', namespace: 'control-plane' },
  agent: { release: 'pipeops-agent', namespace: 'pipeops-system' },
  user: 'demo-admin',
  group: 'pipeops:admins',
} as const

function local({ name }: Image) {
  const [repository, tag] = name.split(':')
  return { repository, tag, pullPolicy: 'Never' }
}

/** A namespace that takes only pods of the Pod Security level `restricted`. */
export function restricted(name: string): object {
  const labels = {
    'pod-security.kubernetes.io/enforce': 'restricted',
    'pod-security.kubernetes.io/enforce-version': 'latest',
  }
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
}

/** What the whole node brings along for agents outside of it; the chart must make its own. */
export async function removeSeed({ kubectl }: World): Promise<void> {
  await kubectl(['delete', 'clusterrole,clusterrolebinding', 'pipeops-agent'])
  await kubectl(['delete', 'namespace', names.agent.namespace, '--wait'])
}

/** Namespace and volume of the control plane. */
export async function prepareControlPlane(world: World): Promise<void> {
  const { namespace } = names.controlPlane
  const path = join(world.dir, 'volume')
  await mkdir(path, { mode: 0o700 })
  // Kubernetes gives no volume of this kind to the pod's group.
  await chown(path, 1_000, 1_000)
  await world.apply(restricted(namespace), {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'control-plane' },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Retain',
      hostPath: { path },
    },
  })
}

/** The control plane as an operator installs it, on a volume of this node and reached at the node's address. */
export async function installControlPlane(world: World): Promise<void> {
  const { release, namespace } = names.controlPlane
  await world.helm(
    ['install', release, charts.controlPlane, '-n', namespace, '--wait', '--timeout', '120s'],
    { values: controlPlaneValues(world) },
  )
}

/** How agents and people reach the control plane: through the node. */
export function publicUrl({ nodeAddress }: World): string {
  return `https://${nodeAddress}:${nodePort}`
}

function controlPlaneValues(world: World): object {
  return {
    image: local(world.images['control-plane']),
    publicUrl: publicUrl(world),
    service: { type: 'NodePort', nodePort },
  }
}

/** Calls the control plane's command line in its container, as the chart's notes say. */
export async function ctl<T>({ kubectl }: World, ...args: string[]): Promise<T> {
  const { release, namespace } = names.controlPlane
  const exec = ['-n', namespace, 'exec', `statefulset/${release}`, '--']
  return JSON.parse(
    await kubectl([...exec, 'node', '/app/ctl.mjs', '--output', 'json', ...args]),
  ) as T
}

/** The agent as the README says: its token in a Secret, in a restricted namespace. */
export async function installAgent(world: World): Promise<void> {
  const { release, namespace } = names.agent
  await world.helm(
    ['install', release, charts.agent, '-n', namespace, '--wait', '--timeout', '120s'],
    { values: await agentValues(world) },
  )
}

/** Changes values on top of those it was installed with, without waiting for the pods. */
export async function upgradeAgent(world: World, changes: object): Promise<void> {
  const { release, namespace } = names.agent
  await world.helm(['upgrade', release, charts.agent, '-n', namespace], {
    values: { ...(await agentValues(world)), ...changes },
  })
}

/** Namespace and token of the agent. */
export async function prepareAgent(world: World): Promise<void> {
  const { namespace } = names.agent
  const { token } = await ctl<{ token: string }>(
    world,
    ...['agent-tokens', 'create', '--cluster', names.cluster],
  )
  await world.apply(restricted(namespace), {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'pipeops-agent-token', namespace },
    stringData: { token },
  })
}

async function agentValues(world: World): Promise<object> {
  const { kubectl, images } = world
  const { release, namespace } = names.controlPlane
  const caBundle = await kubectl([
    ...['-n', namespace, 'exec', `statefulset/${release}`, '--'],
    ...['node', '-p', 'require("fs").readFileSync("/data/ca.crt", "utf8")'],
  ])
  return {
    agent: {
      cluster: { name: names.cluster },
      pipeops: {
        apiUrl: publicUrl(world),
        existingSecret: 'pipeops-agent-token',
        tls: { caBundle },
      },
    },
    rbac: { users: [names.user], groups: [names.group] },
    image: local(images.agent),
    nats: { image: local(images.nats) },
  }
}

/** The agent's pods, those that end too. */
export async function agentPods({ get }: World): Promise<AgentPod[]> {
  const { release, namespace } = names.agent
  const selector = `app.kubernetes.io/instance=${release},app.kubernetes.io/component=agent`
  return (await get<{ items: AgentPod[] }>('pods', '-n', namespace, '-l', selector)).items
}

/** Resolves when every container of the newest pods is ready and the ones before are gone. */
export async function untilAgentReady(world: World, timeoutMs = 90_000): Promise<AgentPod[]> {
  const { release, namespace } = names.agent
  const timeout = `--timeout=${timeoutMs / 1_000}s`
  await world.kubectl(['rollout', 'status', `deployment/${release}`, '-n', namespace, timeout])
  return until('all containers of the agent ready', async () => {
    const pods = await agentPods(world)
    return pods.length > 0 && pods.every(isReady) ? pods : undefined
  })
}

function isReady({ metadata, status: { conditions = [] } }: AgentPod): boolean {
  const { status } = conditions.find(({ type }) => type === 'Ready') ?? {}
  return metadata.deletionTimestamp === undefined && status === 'True'
}

/** What of a pod the checks read. */
export type AgentPod = {
  metadata: { name: string; deletionTimestamp?: string }
  spec: { containers: { name: string }[]; initContainers?: { name: string }[] }
  status: {
    conditions?: { type: string; status: string }[]
    containerStatuses?: ContainerStatus[]
    initContainerStatuses?: ContainerStatus[]
  }
}
type ContainerStatus = {
  name: string
  ready: boolean
  restartCount: number
  containerID?: string
  lastState?: { terminated?: { reason?: string } }
}
