import { request } from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'

import type { Children } from './children.ts'
import type { Pki } from './pki.ts'

const readyMs = 60_000

/** What a kube-apiserver is started with. */
export type ApiServerOptions = {
  dir: string
  apiPort: number
  etcdPort: number
  /** Where it listens; another than loopback is announced as the `kubernetes` Service. */
  address?: string
  extra?: string[]
}

/** Starts kube-apiserver; returns the key pair that signs ServiceAccount tokens. */
export async function startApiServer(
  children: Children,
  pki: Pki,
  program: string,
  { dir, apiPort, etcdPort, address = '127.0.0.1', extra = [] }: ApiServerOptions,
): Promise<{ privateFile: string; publicFile: string }> {
  const serving = await pki.issue('apiserver', 'CN=kube-apiserver', [
    address,
    '10.96.0.1',
    'kubernetes',
  ])
  const kubeletClient = await pki.issue('kubelet-client', 'CN=kube-apiserver, O=system:masters')
  const accounts = await pki.signingKey('service-accounts')
  await children.start('kube-apiserver', program, [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    `--bind-address=${address}`,
    `--secure-port=${apiPort}`,
    // Loopback cannot be an endpoint of the `kubernetes` Service.
    address === '127.0.0.1' ? '--endpoint-reconciler-type=none' : `--advertise-address=${address}`,
    `--tls-cert-file=${serving.certFile}`,
    `--tls-private-key-file=${serving.keyFile}`,
    `--client-ca-file=${pki.caFile}`,
    `--kubelet-client-certificate=${kubeletClient.certFile}`,
    `--kubelet-client-key=${kubeletClient.keyFile}`,
    '--kubelet-preferred-address-types=InternalIP',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${accounts.publicFile}`,
    `--service-account-signing-key-file=${accounts.privateFile}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    '--authorization-mode=Node,RBAC',
    '--allow-privileged=true',
    `--cert-dir=${dir}`,
    ...extra,
  ])
  return accounts
}

/** Waits for `/readyz`; throws with the server's last lines. */
export async function untilReady(
  url: string,
  ca: string,
  children: Children,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + readyMs
  while (!(await isReady(url, ca))) {
    signal?.throwIfAborted()
    if (performance.now() > deadline) {
      const log = await children.tail('kube-apiserver')
      throw new Error(
        `kube-apiserver was not ready in ${readyMs / 1_000} s; its last lines:\n${log}`,
      )
    }
    await delay(100)
  }
}

function isReady(url: string, ca: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asking = request(`${url}/readyz`, { ca, timeout: 2_000, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    asking.once('error', () => resolve(false))
    asking.once('timeout', () => asking.destroy())
    asking.end()
  })
}
