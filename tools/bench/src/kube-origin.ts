import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'

import {
  type Cluster,
  startEmbeddedCluster,
  startNodeCluster,
  testImage,
  whyNoNode,
} from '@agent/cluster'

import type { Origin } from './origin.ts'
import type { ProcessRef } from './processes.ts'

const run = promisify(execFile)

/** A container to run commands in. */
export type Pod = { namespace: string; name: string; container: string }

/** A real API server as the origin. */
export type KubeOrigin = Origin & { pod: Pod }

/** Brings up the embedded cluster: etcd, kube-apiserver, and kwok in the kubelet's place. */
export async function startKubeOrigin(
  dir: string,
  progress: (message: string) => void,
): Promise<KubeOrigin> {
  const cluster = await startEmbeddedCluster({ dir: join(dir, 'cluster'), progress })
  const pod = { namespace: 'shop', name: 'web-0', container: 'web' }
  return { ...(await originOf(cluster)), pod }
}

/** Brings up a whole node with a real container in it; `why` says why kwok must stand in where it cannot. */
export async function startExecOrigin(
  dir: string,
  progress: (message: string) => void,
): Promise<{ origin: KubeOrigin; why: string | undefined }> {
  const why = whyNoNode()
  if (why !== undefined) return { origin: await startKubeOrigin(dir, progress), why }
  await using scope = new AsyncDisposableStack()
  const cluster = scope.use(await startNodeCluster({ dir: join(dir, 'node'), progress }))
  const pod = { namespace: 'default', name: 'bench', container: 'bench' }
  await createPod(cluster, pod)
  const origin = await originOf(cluster)
  const owned = scope.move()
  const dispose = (): Promise<void> => owned.disposeAsync()
  return { origin: { ...origin, pod, [Symbol.asyncDispose]: dispose }, why }
}

async function createPod(cluster: Cluster, { namespace, name }: Pod): Promise<void> {
  const kubectl = (...args: string[]) =>
    run(cluster.kubectl, ['--kubeconfig', cluster.adminKubeconfig, '-n', namespace, ...args])
  await kubectl(
    ...['run', name, '--image', testImage, '--image-pull-policy=Never', '--restart=Never'],
    ...['--command', '--', 'sleep', '3600'],
  )
  await kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s')
}

async function originOf(cluster: Cluster): Promise<Origin> {
  const { hostname, port } = new URL(cluster.url)
  const { user } = (JSON.parse(await readFile(cluster.adminKubeconfig, 'utf8')) as Kubeconfig)
    .users[0]
  const decode = (data: string): string => Buffer.from(data, 'base64').toString('utf8')
  return {
    host: hostname,
    port: Number(port),
    caFile: cluster.caFile,
    credentials: {
      certPem: decode(user['client-certificate-data']),
      keyPem: decode(user['client-key-data']),
    },
    agentTokenFile: cluster.agentTokenFile,
    isOurs: false,
    processes: (await Promise.all(cluster.pids.map(refOf))).flat(),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  }
}

type Kubeconfig = {
  users: [{ user: { 'client-certificate-data': string; 'client-key-data': string } }]
}

/** Nothing where the process ended: some of a cluster's children only set things up. */
async function refOf(pid: number): Promise<ProcessRef[]> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  const [program = ''] = commandLine.split('\0')
  return program === '' ? [] : [{ name: basename(program), pid, side: 'origin' }]
}
