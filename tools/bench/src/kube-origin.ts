import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { startEmbeddedCluster } from '@agent/cluster'

import type { Origin } from './origin.ts'

/** A container to run commands in. */
export type Pod = { namespace: string; name: string; container: string }

/** A real API server as the origin. */
export type KubeOrigin = Origin & {
  pod: Pod
  /** What stands behind exec, for the table. */
  kubelet: string
}

/** Brings up the embedded cluster: etcd, kube-apiserver, and kwok in the kubelet's place. */
export async function startKubeOrigin(
  dir: string,
  progress: (message: string) => void,
): Promise<KubeOrigin> {
  const cluster = await startEmbeddedCluster({ dir: join(dir, 'cluster'), progress })
  const { user } = (JSON.parse(await readFile(cluster.adminKubeconfig, 'utf8')) as Kubeconfig)
    .users[0]
  const decode = (data: string): string => Buffer.from(data, 'base64').toString('utf8')
  return {
    port: Number(new URL(cluster.url).port),
    caFile: cluster.caFile,
    credentials: {
      certPem: decode(user['client-certificate-data']),
      keyPem: decode(user['client-key-data']),
    },
    agentTokenFile: cluster.agentTokenFile,
    isOurs: false,
    processes: await Promise.all(
      cluster.pids.map(async (pid) => ({
        name: await programOf(pid),
        pid,
        side: 'origin' as const,
      })),
    ),
    pod: { namespace: 'shop', name: 'web-0', container: 'web' },
    kubelet: 'kwok stands in for the kubelet',
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  }
}

type Kubeconfig = {
  users: [{ user: { 'client-certificate-data': string; 'client-key-data': string } }]
}

async function programOf(pid: number): Promise<string> {
  const [program = ''] = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0')
  return basename(program)
}
