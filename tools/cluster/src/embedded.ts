import { execFile, spawn } from 'node:child_process'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { kubernetesVersion, type Progress, resolveTools } from '@agent/toolbox'

import { startApiServer, untilReady } from './api-server.ts'
import { createChildren } from './children.ts'
import { writeKubeconfig } from './kubeconfig.ts'
import { kwokConfig } from './kwok.ts'
import { createPki } from './pki.ts'
import { freePorts } from './ports.ts'
import { agentObjects, demoObjects } from './seed.ts'

const run = promisify(execFile)
const renewTokenMs = 3_600_000
const keptKubeletPort = 10_250

/** A running cluster, and what is needed to talk to it. */
export type Cluster = AsyncDisposable & {
  url: string
  caFile: string
  /** Full rights, for tests and for whoever started the cluster. */
  adminKubeconfig: string
  /** The agent's ServiceAccount token, renewed while the cluster lives. */
  agentTokenFile: string
  kubectl: string
  pids: number[]
}

export type EmbeddedOptions = {
  /** Everything is kept below it; removed at the end. */
  dir: string
  progress?: Progress
  /** Ends the start-up: whatever was started is ended, and it rejects. */
  signal?: AbortSignal
  /** Nodes, namespaces and pods to look at; on by default. */
  seed?: boolean
  /** Where the API server listens; a free port of loopback by default. */
  listen?: { address: string; port: number }
  /** etcd's folder, for a cluster that is started again; by default it is below `dir` and goes with it. */
  etcdDir?: string
}

/** etcd, kube-apiserver, and kwok in the place of kubelets. */
export async function startEmbeddedCluster(options: EmbeddedOptions): Promise<Cluster> {
  const { dir, progress = () => {}, signal, seed = true, etcdDir = join(dir, 'etcd') } = options
  const names = ['etcd', 'kube-apiserver', 'kwok', 'kubectl'] as const
  const tools = await resolveTools(names, { progress, ...(signal && { signal }) })
  progress(`starting an embedded cluster (Kubernetes ${kubernetesVersion}) …`)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await using scope = new AsyncDisposableStack()
  scope.defer(() => rm(dir, { recursive: true, force: true }))
  const children = scope.use(await createChildren(dir, { signal }))
  const pki = await createPki(dir)
  const [etcdPort, peerPort, freePort, freeKubeletPort] = (await freePorts(4)) as [
    number,
    number,
    number,
    number,
  ]
  const { address, port: apiPort } = options.listen ?? { address: '127.0.0.1', port: freePort }
  // Nodes that were kept name the port that kubelet had before.
  const kubeletPort = options.etcdDir === undefined ? freeKubeletPort : keptKubeletPort

  await children.start('etcd', tools.etcd, [
    ...['--data-dir', etcdDir, '--unsafe-no-fsync', '--log-level', 'error'],
    ...['--listen-client-urls', `http://127.0.0.1:${etcdPort}`],
    ...['--advertise-client-urls', `http://127.0.0.1:${etcdPort}`],
    ...['--listen-peer-urls', `http://127.0.0.1:${peerPort}`],
  ])
  await startApiServer(children, pki, tools['kube-apiserver'], {
    dir,
    apiPort,
    etcdPort,
    address,
    // No controller makes the default ServiceAccount that this plugin asks of every pod.
    extra: ['--disable-admission-plugins=ServiceAccount'],
  })
  const url = `https://${address}:${apiPort}`
  const adminKubeconfig = join(dir, 'admin.kubeconfig')
  const admin = await pki.issue('admin', 'CN=admin, O=system:masters')
  await writeKubeconfig(adminKubeconfig, { server: url, ca: pki.ca, ...admin })
  await untilReady(url, pki.ca, children, signal)

  const webPort = await startWeb(scope)
  const logsFile = join(dir, 'pod.log')
  await writeFile(logsFile, criLog(20))
  const workDir = join(dir, 'exec')
  await mkdir(workDir)
  await writeFile(join(workDir, 'hello.txt'), 'hello from the pod\n')
  const kwokFile = join(dir, 'kwok.yaml')
  await writeFile(kwokFile, kwokConfig({ logsFile, workDir, webPort }))
  const kubelet = await pki.issue('kubelet', 'CN=kubelet', ['127.0.0.1'])
  await children.start('kwok', tools.kwok, [
    ...['--kubeconfig', adminKubeconfig, '--config', kwokFile],
    ...['--manage-nodes-with-annotation-selector', 'kwok.x-k8s.io/node=fake'],
    ...['--node-ip', '127.0.0.1', '--node-port', String(kubeletPort)],
    ...['--server-address', `127.0.0.1:${kubeletPort}`, '--node-lease-duration-seconds', '40'],
    ...['--tls-cert-file', kubelet.certFile, '--tls-private-key-file', kubelet.keyFile],
  ])

  // The same function renews tokens as long as the cluster lives: only the start-up ends with the signal.
  let starting = signal
  const kubectl = (args: string[], input?: object[]): Promise<string> =>
    runKubectl(tools.kubectl, ['--kubeconfig', adminKubeconfig, ...args], input, starting)
  await kubectl(['apply', '--server-side', '-f', '-'], agentObjects())
  if (seed) {
    await kubectl(['apply', '--server-side', '-f', '-'], demoObjects())
    await kubectl(['wait', '--for=condition=Ready', 'pods', '--all', '-A', '--timeout=60s'])
  }
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

/** Lines as container runtimes write them. */
function criLog(lines: number): string {
  const at = (line: number): string => new Date(Date.now() - (lines - line) * 1_000).toISOString()
  return Array.from(
    { length: lines },
    (_, line) => `${at(line)} stdout F log line ${line + 1}\n`,
  ).join('')
}

/** What a port-forward reaches. */
async function startWeb(scope: AsyncDisposableStack): Promise<number> {
  const server = createServer((_request, response) => response.end('hello from the pod\n'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  scope.defer(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

/** Writes the agent's ServiceAccount token (0600), and a new one every hour. */
export async function keepAgentToken(
  kubectl: (args: string[]) => Promise<string>,
  file: string,
): Promise<Disposable> {
  const renew = async (): Promise<void> => {
    const token = await kubectl([
      'create',
      'token',
      'pipeops-agent',
      '-n',
      'pipeops-system',
      '--duration=24h',
    ])
    await writeFile(`${file}.new`, token.trim(), { mode: 0o600 })
    await rename(`${file}.new`, file)
  }
  await renew()
  const timer = setInterval(() => void renew().catch(() => {}), renewTokenMs)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** Runs kubectl, with objects as its input where some are given. */
export async function runKubectl(
  program: string,
  args: string[],
  input?: object[],
  signal?: AbortSignal,
): Promise<string> {
  const stopping = signal === undefined ? {} : { signal }
  if (input === undefined) return (await run(program, args, stopping)).stdout
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], ...stopping })
  child.on('error', () => {})
  child.stdin.on('error', () => {})
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (output += chunk))
  child.stdin.end(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: input }))
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`kubectl ${args.at(-3)} failed:\n${output}`)
  return output
}
