import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { hostPath, type Progress, resolveTools } from '@agent/toolbox'

import { startApiServer, untilReady } from './api-server.ts'
import { type Children, createChildren } from './children.ts'
import { startContainerd } from './containerd.ts'
import { type Cluster, keepAgentToken, runKubectl } from './embedded.ts'
import { writeTestImage } from './image.ts'
import { writeKubeconfig } from './kubeconfig.ts'
import { startKubelet } from './kubelet.ts'
import { findOnHost, installPackages, run, whyNoNode } from './node-host.ts'
import { folder, node, space, startMs, testImage } from './node-names.ts'
import { openNodeSpace } from './node-space.ts'
import { createPki, type Pki } from './pki.ts'
import { freePorts } from './ports.ts'
import { agentObjects } from './seed.ts'

/** A whole Kubernetes node with real containers; needs root on Linux. */
export async function startNodeCluster(options: {
  dir: string
  progress?: Progress
  /** Ends the start-up: whatever was started is ended, and it rejects. */
  signal?: AbortSignal
}): Promise<Cluster> {
  const { dir, progress = () => {}, signal } = options
  const reason = whyNoNode()
  if (reason !== undefined) throw new Error(reason)
  await installPackages(progress)
  const tools = await resolveTools(
    [
      'etcd',
      'kube-apiserver',
      'kubectl',
      'kube-controller-manager',
      'kube-scheduler',
      'kubelet',
      'kube-proxy',
    ],
    { progress, ...(signal && { signal }) },
  )
  progress('starting a whole node …')
  await using scope = new AsyncDisposableStack()
  // Last to end: whatever still runs, is mounted or is configured in it ends with it.
  scope.defer(() => rm(dir, { recursive: true, force: true }))
  const { prefix } = scope.use(await openNodeSpace(space, dir))
  const children = scope.use(await createChildren(dir, { prefix, signal }))
  const pki = await createPki(dir)
  const [etcdPort, peerPort, apiPort] = (await freePorts(3)) as [number, number, number]
  await children.start('etcd', tools.etcd, [
    ...['--data-dir', join(dir, 'etcd'), '--unsafe-no-fsync', '--log-level', 'error'],
    ...['--listen-client-urls', `http://127.0.0.1:${etcdPort}`],
    ...['--advertise-client-urls', `http://127.0.0.1:${etcdPort}`],
    ...['--listen-peer-urls', `http://127.0.0.1:${peerPort}`],
  ])
  const accounts = await startApiServer(children, pki, tools['kube-apiserver'], {
    dir,
    apiPort,
    etcdPort,
    address: node.address,
    extra: ['--enable-admission-plugins=ServiceAccount'],
  })
  const url = `https://${node.address}:${apiPort}`
  const kubeconfigs = await writeKubeconfigs(dir, pki, url)
  await untilReady(url, pki.ca, children, signal)

  const socket = await startContainerd(children, dir)
  const archive = await writeTestImage({
    busybox: (await findOnHost('busybox')) as string,
    dir: await folder(dir, 'image'),
    tag: testImage,
  })
  await run('ctr', ['--address', socket, '-n', 'k8s.io', 'images', 'import', archive], 60_000)

  await children.start('kube-controller-manager', tools['kube-controller-manager'], [
    `--kubeconfig=${kubeconfigs['controller-manager']}`,
    `--service-account-private-key-file=${accounts.privateFile}`,
    `--root-ca-file=${pki.caFile}`,
    '--use-service-account-credentials=true',
    '--leader-elect=false',
    '--bind-address=127.0.0.1',
  ])
  await children.start('kube-scheduler', tools['kube-scheduler'], [
    `--kubeconfig=${kubeconfigs.scheduler}`,
    '--leader-elect=false',
    '--bind-address=127.0.0.1',
  ])
  await children.start(
    'kube-proxy',
    tools['kube-proxy'],
    [
      `--kubeconfig=${kubeconfigs.proxy}`,
      '--proxy-mode=iptables',
      `--cluster-cidr=${node.podCidr}`,
      `--hostname-override=${node.name}`,
      '--conntrack-max-per-core=0',
      // Its usual ports: the network namespace is the node's own, and 0 is no valid one.
      '--metrics-bind-address=127.0.0.1:10249',
      '--healthz-bind-address=127.0.0.1:10256',
    ],
    { PATH: hostPath },
  )
  await startKubelet(children, pki, tools.kubelet, { dir, socket, kubeconfig: kubeconfigs.kubelet })

  const adminKubeconfig = kubeconfigs.admin
  // The same function renews tokens as long as the cluster lives: only the start-up ends with the signal.
  let starting = signal
  const kubectl = (args: string[], input?: object[]): Promise<string> =>
    runKubectl(tools.kubectl, ['--kubeconfig', adminKubeconfig, ...args], input, starting)
  await untilNodeReady(kubectl, children, signal)
  await kubectl(['apply', '--server-side', '-f', '-'], agentObjects())
  const agentTokenFile = join(dir, 'agent-token')
  scope.use(await keepAgentToken(kubectl, agentTokenFile))

  starting = undefined
  const owned = scope.move()
  return {
    url,
    caFile: pki.caFile,
    adminKubeconfig,
    agentTokenFile,
    kubectl: tools.kubectl,
    pids: children.pids,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function writeKubeconfigs(dir: string, pki: Pki, server: string) {
  const subjects = {
    admin: 'CN=admin, O=system:masters',
    'controller-manager': 'CN=system:kube-controller-manager',
    scheduler: 'CN=system:kube-scheduler',
    proxy: 'CN=system:kube-proxy',
    kubelet: `CN=system:node:${node.name}, O=system:nodes`,
  }
  const files = {} as Record<keyof typeof subjects, string>
  for (const [name, subject] of Object.entries(subjects)) {
    const file = join(dir, `${name}.kubeconfig`)
    await writeKubeconfig(file, {
      server,
      ca: pki.ca,
      ...(await pki.issue(`${name}-client`, subject)),
    })
    files[name as keyof typeof subjects] = file
  }
  return files
}

async function untilNodeReady(
  kubectl: (args: string[]) => Promise<string>,
  children: Children,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + startMs
  for (;;) {
    signal?.throwIfAborted()
    const ready = await kubectl([
      'get',
      'node',
      node.name,
      '-o',
      'jsonpath={.status.conditions[?(@.type=="Ready")].status}',
    ]).catch(() => '')
    const account = await kubectl([
      'get',
      'serviceaccount',
      '-n',
      'default',
      'default',
      '-o',
      'name',
    ]).catch(() => '')
    if (ready === 'True' && account !== '') return
    if (performance.now() > deadline)
      throw new Error(`the node did not become ready:\n${await children.tail('kubelet')}`)
    await delay(200)
  }
}
