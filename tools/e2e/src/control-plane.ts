import { chown, mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { agentNames, charts, fastProbes, local, names, restricted } from './names.ts'
import { pathOf, type Pod } from './pods.ts'
import type { World, WorldNode } from './world.ts'

const nodePort = 30_443

/** What the whole node brings along for agents outside of it; the chart must make its own. */
export async function removeSeed({ kubectl }: WorldNode): Promise<void> {
  await kubectl(['delete', 'clusterrole,clusterrolebinding', 'pipeops-agent'])
  await kubectl(['delete', 'namespace', agentNames.used.namespace, '--wait'])
}

/** Namespace and volume of the control plane. */
export async function prepareControlPlane(world: WorldNode): Promise<void> {
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
export function installControlPlane(world: World): Promise<void> {
  return applyControlPlane(world, 'install', {})
}

/** Changes values on top of those it was installed with. */
export function upgradeControlPlane(world: World, changes: object): Promise<void> {
  return applyControlPlane(world, 'upgrade', changes)
}

async function applyControlPlane(world: World, verb: string, changes: object): Promise<void> {
  const { release, namespace } = names.controlPlane
  const values = {
    image: local(world.images['control-plane']),
    publicUrl: publicUrl(world),
    // Shorter than the default: whoever is refused is told sooner.
    waitSeconds: 5,
    service: { type: 'NodePort', nodePort },
    probes: fastProbes,
    ...changes,
  }
  const where = [release, charts.controlPlane, '-n', namespace]
  await world.helm([verb, ...where, '--wait', '--timeout', '120s'], { values })
}

/** How agents and people reach the control plane: through the node. */
export function publicUrl({ nodeAddress }: World): string {
  return `https://${nodeAddress}:${nodePort}`
}

/** Its only pod. */
export function controlPlanePod({ read }: World): Promise<Pod> {
  const { release, namespace } = names.controlPlane
  return read(pathOf(namespace, `${release}-0`))
}

/** Calls the control plane's command line in its container, as the chart's notes say. */
export async function ctl<T>({ kubectl }: World, ...args: string[]): Promise<T> {
  const { release, namespace } = names.controlPlane
  const exec = ['-n', namespace, 'exec', `statefulset/${release}`, '--']
  return JSON.parse(
    await kubectl([...exec, 'node', '/app/ctl.mjs', '--output', 'json', ...args]),
  ) as T
}

/** The authority that the control plane made for itself, as an operator hands it to agents. */
export function readAuthority({ kubectl }: World): Promise<string> {
  const { release, namespace } = names.controlPlane
  return kubectl([
    ...['-n', namespace, 'exec', `statefulset/${release}`, '--'],
    ...['node', '-p', 'require("fs").readFileSync("/data/ca.crt", "utf8")'],
  ])
}
