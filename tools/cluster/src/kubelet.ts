import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { hostPath } from '@agent/toolbox'

import type { Children } from './children.ts'
import { folder, node, space } from './node-names.ts'
import type { Pki } from './pki.ts'

/** Starts the kubelet of the node. */
export async function startKubelet(
  children: Children,
  pki: Pki,
  program: string,
  { dir, socket, kubeconfig }: { dir: string; socket: string; kubeconfig: string },
): Promise<void> {
  const serving = await pki.issue('kubelet-serving', `CN=system:node:${node.name}`, [node.address])
  const config = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      x509: { clientCAFile: pki.caFile },
      anonymous: { enabled: false },
      webhook: { enabled: false },
    },
    authorization: { mode: 'AlwaysAllow' },
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${space.name}`,
    volumePluginDir: await folder(dir, 'volume-plugins'),
    cgroupsPerQOS: true,
    enforceNodeAllocatable: [],
    failSwapOn: false,
    evictionHard: {
      'memory.available': '50Mi',
      'nodefs.available': '1%',
      'imagefs.available': '1%',
    },
    imageGCHighThresholdPercent: 100,
    resolvConf: '/dev/null',
    clusterDNS: ['10.96.0.10'],
    clusterDomain: 'cluster.local',
    address: node.address,
    tlsCertFile: serving.certFile,
    tlsPrivateKeyFile: serving.keyFile,
    containerRuntimeEndpoint: `unix://${socket}`,
    healthzPort: 0,
  }
  const file = join(dir, 'kubelet.json')
  await writeFile(file, JSON.stringify(config))
  await children.start(
    'kubelet',
    program,
    [
      `--kubeconfig=${kubeconfig}`,
      `--config=${file}`,
      `--root-dir=${await folder(dir, 'kubelet')}`,
      `--cert-dir=${dir}`,
      `--hostname-override=${node.name}`,
      `--node-ip=${node.address}`,
    ],
    { PATH: hostPath },
  )
}
