import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

import { type Progress, resolveTools } from '@agent/toolbox'

import { startApiServer, untilReady } from './api-server.ts'
import { type Children, createChildren } from './children.ts'
import { type Cluster, keepAgentToken, runKubectl } from './embedded.ts'
import { writeTestImage } from './image.ts'
import { writeKubeconfig } from './kubeconfig.ts'
import { cleanHost, installPackages, whyNoNode } from './node-host.ts'
import { createPki, type Pki } from './pki.ts'
import { freePorts } from './ports.ts'
import { agentObjects } from './seed.ts'

const run = promisify(execFile)
const address = '10.88.5.1'
const bridge = 'cni0'
const nodeName = 'whole-node'
const podCidr = '10.88.6.0/24'
/** The one image there is; sandboxes run it too. */
export const testImage = 'localhost/test:1'
const containerMs = 60_000

/** A whole Kubernetes node with real containers; needs root on Linux. */
export async function startNodeCluster(options: {
  dir: string
  progress?: Progress
}): Promise<Cluster> {
  const { dir, progress = () => {} } = options
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
    { progress },
  )
  progress('starting a whole node …')
  await using scope = new AsyncDisposableStack()
  await cleanHost({ bridge, address, dir })
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { recursive: true, mode: 0o700 })
  scope.defer(async () => {
    await cleanHost({ bridge, address, dir })
    await rm(dir, { recursive: true, force: true })
  })
  await run('ip', ['address', 'replace', `${address}/32`, 'dev', 'lo'])
  await run('sysctl', ['-qw', 'net.ipv4.ip_forward=1'])
  const children = scope.use(await createChildren(dir))
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
    address,
    extra: ['--enable-admission-plugins=ServiceAccount'],
  })
  const url = `https://${address}:${apiPort}`
  const kubeconfigs = await writeKubeconfigs(dir, pki, url)
  await untilReady(url, pki.ca, children)

  const socket = await startContainerd(children, dir, scope)
  const ctr = (...args: string[]) =>
    run('ctr', ['--address', socket, '-n', 'k8s.io', ...args], { timeout: 15_000 })
  const archive = await writeTestImage({
    busybox: '/bin/busybox',
    dir: await folder(dir, 'image'),
    tag: testImage,
  })
  await ctr('images', 'import', archive)
  // Before the host is cleaned: nothing can be taken away while it runs.
  scope.defer(() => endContainers(ctr))

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
  await children.start('kube-proxy', tools['kube-proxy'], [
    `--kubeconfig=${kubeconfigs.proxy}`,
    '--proxy-mode=iptables',
    `--cluster-cidr=${podCidr}`,
    `--hostname-override=${nodeName}`,
    '--conntrack-max-per-core=0',
    '--metrics-bind-address=127.0.0.1:0',
    '--healthz-bind-address=127.0.0.1:0',
  ])
  await startKubelet(children, pki, tools.kubelet, { dir, socket, kubeconfig: kubeconfigs.kubelet })

  const adminKubeconfig = kubeconfigs.admin
  const kubectl = (args: string[], input?: object[]): Promise<string> =>
    runKubectl(tools.kubectl, ['--kubeconfig', adminKubeconfig, ...args], input)
  await untilNodeReady(kubectl, children)
  await kubectl(['apply', '--server-side', '-f', '-'], agentObjects())
  const agentTokenFile = join(dir, 'agent-token')
  scope.use(await keepAgentToken(kubectl, agentTokenFile))
  // Pods must go while the kubelet lives.
  scope.defer(async () => {
    await kubectl([
      'delete',
      'pods',
      '-A',
      '--all',
      '--force',
      '--grace-period=0',
      '--timeout=20s',
    ]).catch(() => '')
  })

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
    kubelet: `CN=system:node:${nodeName}, O=system:nodes`,
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

async function startContainerd(
  children: Children,
  dir: string,
  scope: AsyncDisposableStack,
): Promise<string> {
  const state = await folder(dir, 'containerd')
  const socket = join(state, 'containerd.sock')
  const cni = await folder(dir, 'cni')
  const network = {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge,
        isGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: podCidr }]],
          dataDir: join(dir, 'ipam'),
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  }
  await writeFile(join(cni, '10-pods.conflist'), JSON.stringify(network))
  const config = `version = 2
root = "${join(state, 'root')}"
state = "${join(state, 'state')}"
[grpc]
  address = "${socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${testImage}"
  # Without CAP_SYS_RESOURCE, runc may not lower an OOM score.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${cni}"
`
  const file = join(state, 'config.toml')
  await writeFile(file, config)
  await children.start('containerd', '/usr/bin/containerd', ['--config', file], {
    PATH: process.env['PATH'] ?? '',
  })
  const deadline = performance.now() + containerMs
  for (;;) {
    const isUp = await run('ctr', ['--address', socket, 'version']).then(
      () => true,
      () => false,
    )
    if (isUp) break
    if (performance.now() > deadline)
      throw new Error(`containerd did not start:\n${await children.tail('containerd')}`)
    await delay(100)
  }
  scope.defer(async () => {
    await run('pkill', ['-9', '-f', `containerd-shim.*${socket}`]).catch(() => {})
  })
  return socket
}

async function startKubelet(
  children: Children,
  pki: Pki,
  program: string,
  { dir, socket, kubeconfig }: { dir: string; socket: string; kubeconfig: string },
): Promise<void> {
  const serving = await pki.issue('kubelet-serving', `CN=system:node:${nodeName}`, [address])
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
    address,
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
      `--hostname-override=${nodeName}`,
      `--node-ip=${address}`,
    ],
    { PATH: process.env['PATH'] ?? '' },
  )
}

async function untilNodeReady(
  kubectl: (args: string[]) => Promise<string>,
  children: Children,
): Promise<void> {
  const deadline = performance.now() + containerMs
  for (;;) {
    const ready = await kubectl([
      'get',
      'node',
      nodeName,
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

async function endContainers(
  ctr: (...args: string[]) => Promise<{ stdout: string }>,
): Promise<void> {
  const { stdout } = await ctr('tasks', 'list', '-q').catch(() => ({ stdout: '' }))
  for (const id of stdout.split('\n').filter(Boolean)) {
    await ctr('tasks', 'kill', '-s', 'SIGKILL', id).catch(() => {})
    await ctr('tasks', 'delete', '-f', id).catch(() => {})
  }
}

async function folder(dir: string, name: string): Promise<string> {
  const path = join(dir, name)
  await mkdir(path, { recursive: true })
  return path
}
