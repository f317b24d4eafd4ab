import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { resolveTool } from '@agent/toolbox'

import type { Contender } from './contenders.ts'
import type { KubeOrigin, Pod } from './kube-origin.ts'
import type { ContenderName } from './sample.ts'

const run = promisify(execFile)

/** A cluster that is there already: one kubeconfig straight to it, one through the tunnel, and a pod. */
export type KubeconfigPair = { direct: string; tunnel: string; pod: Pod }

/** An origin of which nothing is known but the pod; its processes are elsewhere. */
export function foreignOrigin({ pod }: KubeconfigPair): KubeOrigin {
  return {
    host: '',
    port: 0,
    caFile: '',
    credentials: {},
    agentTokenFile: '',
    isOurs: false,
    processes: [],
    pod,
    async [Symbol.asyncDispose]() {},
  }
}

/** A contender that is nothing but a kubeconfig; kubectl reads it, so that any form will do. */
export async function openKubeconfig(
  name: ContenderName,
  file: string,
  dir: string,
): Promise<Contender> {
  const kubectl = await resolveTool('kubectl')
  const { stdout } = await run(kubectl, [
    ...['config', 'view', '--kubeconfig', file],
    ...['--raw', '--minify', '--flatten', '--output', 'json'],
  ])
  const { clusters, users } = JSON.parse(stdout) as View
  const cluster = clusters[0].cluster
  const user = users[0].user
  const ca = cluster['certificate-authority-data']
  if (ca === undefined || !cluster.server.startsWith('https:')) {
    throw new Error(`${file}: expected an https server and its certificate authority`)
  }
  if (user.token === undefined && user['client-certificate-data'] === undefined) {
    throw new Error(`${file}: expected a token or a client certificate`)
  }
  await mkdir(dir, { recursive: true })
  const caFile = join(dir, `${name}.crt`)
  await writeFile(caFile, decode(ca))
  return {
    name,
    target: {
      url: cluster.server,
      caFile,
      token: user.token,
      certPem: decode(user['client-certificate-data'] ?? ''),
      keyPem: decode(user['client-key-data'] ?? ''),
      anyCipher: true,
    },
    processes: [],
    async [Symbol.asyncDispose]() {},
  }
}

type View = {
  clusters: [{ cluster: { server: string; 'certificate-authority-data'?: string } }]
  users: [
    {
      user: { token?: string; 'client-certificate-data'?: string; 'client-key-data'?: string }
    },
  ]
}

function decode(data: string): string {
  return Buffer.from(data, 'base64').toString('utf8')
}
