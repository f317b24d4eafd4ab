import type { World } from './world.ts'

type Summary = {
  pods: {
    podRef: { name: string; namespace: string }
    containers?: { name: string; memory?: { workingSetBytes?: number; rssBytes?: number } }[]
  }[]
}

/** What kubelet measures in each of our containers: working set (what limits count) and anonymous memory, in MiB. */
export async function readMemory({ kubectl }: World, namespaces: string[]): Promise<string[]> {
  const { pods } = JSON.parse(
    await kubectl(['get', '--raw', '/api/v1/nodes/whole-node/proxy/stats/summary']),
  ) as Summary
  const mib = (bytes = 0): string => (bytes / 1_048_576).toFixed(0)
  return pods
    .filter(({ podRef }) => namespaces.includes(podRef.namespace))
    .flatMap(({ containers = [] }) => containers)
    .map(({ name, memory }) => `${name} ${mib(memory?.workingSetBytes)} (${mib(memory?.rssBytes)})`)
    .toSorted()
}
