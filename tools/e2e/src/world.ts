import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { type Cluster, createApiReader, startNodeCluster } from '@agent/cluster'
import { buildImages, type Image, type ImageKind } from '@agent/image'
import { type Progress, resolveTools } from '@agent/toolbox'

import { type CommandOptions, mustExecute } from './command.ts'

/** A whole node, and the tools of the person in front of it. */
export type WorldNode = {
  dir: string
  cluster: Cluster
  /** The node's address, as the host and its pods reach it. */
  nodeAddress: string
  programs: { kubectl: string; helm: string }
  adminKubeconfig: string
  /** As the cluster's owner, around the tunnel. */
  kubectl(args: string[], options?: CommandOptions): Promise<string>
  /** Objects, created or changed. */
  apply(...objects: object[]): Promise<void>
  /** What the API server answers at a path, as the cluster's owner; cheaper than kubectl. */
  read<T>(path: string): Promise<T>
  /** Helm, with the cluster owner's rights unless another kubeconfig is named. */
  helm(args: string[], options?: { values?: object; kubeconfig?: string }): Promise<string>
}

/** What a check needs: the node with our images on it. */
export type World = WorldNode & { images: Record<ImageKind, Image> }

/** Starts the node, and prepares it while the images are packed; then imports them. It all ends with `scope`. */
export async function startWorld(
  dir: string,
  scope: AsyncDisposableStack,
  { progress, signal }: { progress: Progress; signal: AbortSignal },
  prepare: (node: WorldNode) => Promise<void>,
): Promise<World> {
  const { helm } = await resolveTools(['helm', 'nats-server'], { progress, signal })
  const startNode = async (): Promise<WorldNode> => {
    const cluster = scope.use(await startNodeCluster({ dir, progress, signal }))
    const api = scope.use(await createApiReader(cluster))
    const node = createNode(dir, cluster, api.read, helm, signal)
    await prepare(node)
    return node
  }
  // Both come to an end before either's failure is told: nothing may start after the scope has ended.
  const [packed, started] = await Promise.allSettled([
    buildImages({
      bundleDir: `${dir}-bundles`,
      prefix: 'localhost/pipeops-',
      tag: 'e2e',
      progress,
    }),
    startNode(),
  ])
  if (started.status === 'rejected') throw started.reason
  if (packed.status === 'rejected') throw packed.reason
  for (const image of Object.values(packed.value)) await importImage(dir, image)
  return { ...started.value, images: packed.value }
}

async function importImage(dir: string, { name, archive }: Image): Promise<void> {
  const file = join(dir, 'import.tar')
  await writeFile(file, archive)
  const socket = join(dir, 'containerd', 'containerd.sock')
  await mustExecute('ctr', ['--address', socket, '-n', 'k8s.io', 'images', 'import', file])
  const listed = await mustExecute('ctr', ['--address', socket, '-n', 'k8s.io', 'images', 'ls'])
  if (!listed.includes(name)) throw new Error(`containerd did not take ${name}:\n${listed}`)
}

function createNode(
  dir: string,
  cluster: Cluster,
  read: WorldNode['read'],
  helmProgram: string,
  signal: AbortSignal,
): WorldNode {
  const { adminKubeconfig } = cluster
  const helmEnv = {
    HELM_CACHE_HOME: join(dir, 'helm/cache'),
    HELM_CONFIG_HOME: join(dir, 'helm/config'),
    HELM_DATA_HOME: join(dir, 'helm/data'),
    HOME: dir,
  }
  const kubectl: WorldNode['kubectl'] = (args, options) =>
    mustExecute(cluster.kubectl, ['--kubeconfig', adminKubeconfig, ...args], {
      env: { HOME: dir },
      signal,
      ...options,
    })
  return {
    dir,
    cluster,
    nodeAddress: new URL(cluster.url).hostname,
    programs: { kubectl: cluster.kubectl, helm: helmProgram },
    adminKubeconfig,
    kubectl,
    async apply(...objects) {
      const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
      await kubectl(['apply', '--server-side', '-f', '-'], { input })
    },
    read,
    helm(args, { values, kubeconfig = adminKubeconfig } = {}) {
      const from = values === undefined ? [] : ['--values', '-']
      return mustExecute(helmProgram, [...args, ...from, '--kubeconfig', kubeconfig], {
        env: helmEnv,
        timeoutMs: 300_000,
        signal,
        ...(values === undefined ? {} : { input: JSON.stringify(values) }),
      })
    },
  }
}
