import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { type Cluster, startNodeCluster } from '@agent/cluster'
import { buildImages, type Image, type ImageKind } from '@agent/image'
import { type Progress, resolveTools } from '@agent/toolbox'

import { type CommandOptions, mustExecute } from './command.ts'

/** What a check needs: a whole node with our images on it, and the tools of the person in front of it. */
export type World = {
  dir: string
  /** The node's address, as the host and its pods reach it. */
  nodeAddress: string
  images: Record<ImageKind, Image>
  programs: { kubectl: string; helm: string }
  adminKubeconfig: string
  /** As the cluster's owner, around the tunnel. */
  kubectl(args: string[], options?: CommandOptions): Promise<string>
  /** Objects, created or changed. */
  apply(...objects: object[]): Promise<void>
  /** One object, or a list of them, parsed. */
  get<T>(...args: string[]): Promise<T>
  /** Helm, with the cluster owner's rights unless another kubeconfig is named. */
  helm(args: string[], options?: { values?: object; kubeconfig?: string }): Promise<string>
}

/** Starts the node and imports the images; it all ends with `scope`. */
export async function startWorld(
  dir: string,
  scope: AsyncDisposableStack,
  progress: Progress,
  signal: AbortSignal,
): Promise<World> {
  const { helm } = await resolveTools(['helm', 'nats-server'], { progress, signal })
  const images = await buildImages({
    bundleDir: `${dir}-bundles`,
    prefix: 'localhost/pipeops-',
    tag: 'e2e',
    progress,
  })
  const cluster = scope.use(await startNodeCluster({ dir, progress, signal }))
  for (const image of Object.values(images)) await importImage(dir, image)
  return createWorld(dir, cluster, images, helm, signal)
}

async function importImage(dir: string, { name, archive }: Image): Promise<void> {
  const file = join(dir, 'import.tar')
  await writeFile(file, archive)
  const socket = join(dir, 'containerd', 'containerd.sock')
  await mustExecute('ctr', ['--address', socket, '-n', 'k8s.io', 'images', 'import', file])
  const listed = await mustExecute('ctr', ['--address', socket, '-n', 'k8s.io', 'images', 'ls'])
  if (!listed.includes(name)) throw new Error(`containerd did not take ${name}:\n${listed}`)
}

function createWorld(
  dir: string,
  cluster: Cluster,
  images: World['images'],
  helmProgram: string,
  signal: AbortSignal,
): World {
  const { adminKubeconfig } = cluster
  const helmEnv = {
    HELM_CACHE_HOME: join(dir, 'helm/cache'),
    HELM_CONFIG_HOME: join(dir, 'helm/config'),
    HELM_DATA_HOME: join(dir, 'helm/data'),
    HOME: dir,
  }
  const kubectl: World['kubectl'] = (args, options) =>
    mustExecute(cluster.kubectl, ['--kubeconfig', adminKubeconfig, ...args], { signal, ...options })
  return {
    dir,
    nodeAddress: new URL(cluster.url).hostname,
    images,
    programs: { kubectl: cluster.kubectl, helm: helmProgram },
    adminKubeconfig,
    kubectl,
    async apply(...objects) {
      const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
      await kubectl(['apply', '--server-side', '-f', '-'], { input })
    },
    async get<T>(...args: string[]) {
      return JSON.parse(await kubectl(['get', '-o', 'json', ...args])) as T
    },
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
