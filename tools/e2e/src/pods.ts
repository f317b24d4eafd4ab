import assert from 'node:assert/strict'

import { eventually } from '@agent/testing'

/** What of a pod the checks read. */
export type Pod = {
  metadata: { name: string; namespace: string; deletionTimestamp?: string }
  spec: { containers: { name: string }[]; initContainers?: { name: string }[] }
  status: {
    podIP?: string
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

/** Where the API server has a pod. */
export function pathOf(namespace: string, pod: string): string {
  return `/api/v1/namespaces/${namespace}/pods/${pod}`
}

/** Resolves when there are pods and all of them are ready; those that end must be gone. */
export function readyPods(read: () => Promise<Pod[]>, timeoutMs: number): Promise<Pod[]> {
  return eventually(
    async () => {
      const pods = await read()
      return pods.length > 0 && pods.every(isReady) ? pods : undefined
    },
    { deadlineMs: timeoutMs, what: 'all containers ready' },
  )
}

/** Every container is ready, and the pod is not ending. */
export function isReady({ metadata, status: { conditions = [] } }: Pod): boolean {
  const { status } = conditions.find(({ type }) => type === 'Ready') ?? {}
  return metadata.deletionTimestamp === undefined && status === 'True'
}

/** The containers of a pod that kubelet knows, the bus among them. */
export function containersOf(pod: Pod | undefined): ContainerStatus[] {
  const { containerStatuses = [], initContainerStatuses = [] } = pod?.status ?? {}
  return [...containerStatuses, ...initContainerStatuses]
}

/** What the container runtime calls it. */
export function containerId({ containerID = '' }: Pick<ContainerStatus, 'containerID'>): string {
  return containerID.replace('containerd://', '')
}

export function statusOf(pod: Pod | undefined, name: string): ContainerStatus {
  const found = containersOf(pod).find((each) => each.name === name)
  assert.ok(found, `a container called ${name}`)
  return found
}

/** The names of a pod's containers, sorted. */
export function namesOf(pod: Pod | undefined): string[] {
  const { containers = [], initContainers = [] } = pod?.spec ?? {}
  return [...containers, ...initContainers].map(({ name }) => name).toSorted()
}

/** How often each container was started again, and why the last one ended. */
export function restarts(pods: Pod[]): string[] {
  return pods.flatMap((pod) =>
    containersOf(pod).map(({ name, restartCount, lastState }) =>
      [pod.metadata.name, name, restartCount, lastState?.terminated?.reason ?? ''].join(' '),
    ),
  )
}
