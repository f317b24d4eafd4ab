import { join } from 'node:path'

import type { Image } from '@agent/image'

const deploy = join(import.meta.dirname, '../../../deploy')

/** The charts' folders. */
export const charts = {
  agent: join(deploy, 'chart'),
  controlPlane: join(deploy, 'chart-control-plane'),
}

/** The memory limits that the charts write, in MiB. */
export const limitsMib = {
  agent: { link: 96, proxy: 240, console: 112, nats: 64 },
  edge: { edge: 512 },
  controlPlane: { 'control-plane': 512 },
}

export const names = {
  controlPlane: { release: 'pipeops-control-plane', namespace: 'control-plane' },
  /** Somebody's applications. */
  shop: 'shop',
  user: 'demo-admin',
  group: 'pipeops:admins',
} as const

/** An agent's names, and the values that are its own. */
export type AgentName = {
  release: string
  namespace: string
  /** What it is called at the control plane. */
  cluster: string
  own: { profile: 'sidecars' | 'edge'; agent?: object }
}

const sidecars = { profile: 'sidecars' } as const

/** Agents that have nothing to do with each other. */
export const agentNames = {
  /** What a person does first, and what RBAC and policies allow. */
  used: { release: 'pipeops-agent', namespace: 'pipeops-system', cluster: 'used', own: sidecars },
  /** Its sidecars are turned off and scaled; its state outlives it. */
  changed: {
    release: 'pipeops-agent-changed',
    namespace: 'changed',
    cluster: 'changed',
    own: { ...sidecars, agent: { state: { keep: true } } },
  },
  /** Left alone at first, then given all there is to do. */
  loaded: {
    release: 'pipeops-agent-loaded',
    namespace: 'loaded',
    cluster: 'loaded',
    own: sidecars,
  },
  /** All sidecars in one process. */
  edge: {
    release: 'pipeops-agent-edge',
    namespace: 'edge',
    cluster: 'edge',
    own: { profile: 'edge' },
  },
} as const satisfies Record<string, AgentName>

/** Values that ask more often than the default: what becomes ready is seen sooner, and nothing else changes. */
export const fastProbes = {
  startup: { periodSeconds: 1, failureThreshold: 120 },
  readiness: { periodSeconds: 1, failureThreshold: 10 },
}

/** The values of an image that is on the node already. */
export function local({ name }: Image): object {
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
