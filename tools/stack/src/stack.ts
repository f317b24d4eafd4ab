import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { createPidFile, freePorts } from '@agent/cluster'
import { type Progress, resolveTools } from '@agent/toolbox'

import { agentProcesses, type AgentProfile, type SidecarEnvironment } from './agent-processes.ts'
import { nodeFlags } from './node-flags.ts'
import { createStackHealth } from './stack-health.ts'
import { type Supervised, supervise } from './supervisor.ts'
import { userEnvironment } from './user-environment.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../../..')
const readyMs = 60_000

/** Which cluster the agent stands in, and what it proves itself with. */
export type StackCluster =
  | { url: string; caFile: string; agentTokenFile: string }
  | { kubeconfig: string; context?: string | undefined }

export type StackOptions = {
  /** State, logs and kubeconfig go below it. */
  dir: string
  cluster: StackCluster
  clusterName?: string
  proxies?: number
  profile?: AgentProfile
  progress?: Progress
  /** Ends the start-up: whatever was started is ended, and it rejects. */
  signal?: AbortSignal
  /** More environment for single processes. */
  env?: SidecarEnvironment & { 'control-plane'?: Record<string, string> }
  /** What the agent dials instead of the control plane: a path through faults. */
  agentDials?(controlPlanePort: number): Promise<number>
  controlPlanePort?: number
}

/** Control plane and agent, running as separate processes. */
export type Stack = AsyncDisposable & {
  controlPlaneUrl: string
  /** The control plane's CA. */
  caFile: string
  /** For stock kubectl, as the user demo-admin, through the tunnel. */
  kubeconfig: string
  clusterName: string
  /** The token in that kubeconfig. */
  userToken: string
  processes: ReadonlyMap<string, Supervised>
  /** Calls the control plane's command line and returns what it printed. */
  ctl(...args: string[]): Promise<unknown>
  /** The diagnostics console, from this machine; the token in the file opens it. */
  consoleUrl: string
  consoleTokenFile: string
  readyz(name: string): Promise<{ status: number; state: string; reason: string }>
  metrics(name: string): Promise<string>
  /** Resolves when every process says that it is ready; rejects saying which one is not, and why. */
  untilReady(deadlineMs?: number): Promise<void>
}

/** Brings everything up and waits until requests flow. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { dir, cluster, clusterName = 'demo', proxies = 1, profile = 'sidecars' } = options
  const { progress = () => {}, env = {}, signal } = options
  const tools = await resolveTools(['nats-server'], { progress, ...(signal && { signal }) })
  const logsDir = join(dir, 'logs')
  const dataDir = join(dir, 'control-plane')
  await mkdir(logsDir, { recursive: true, mode: 0o700 })
  await using scope = new AsyncDisposableStack()
  const processes = new Map<string, Supervised>()
  const pidFile = createPidFile(join(dir, 'pids'))
  await pidFile.endForgotten()
  scope.defer(() => pidFile.remove())
  const remember = (): void => {
    const pids = [...processes.values()].flatMap(({ pid }) => (pid === undefined ? [] : [pid]))
    pidFile.write(pids).catch(() => {})
  }
  const health = new Map<string, number>()
  const stackHealth = createStackHealth(health, processes, signal)
  // All at once: two calls might give the same one.
  const freed = await freePorts(6 + proxies)
  const takePort = (): number => freed.pop() as number
  const [busPort, freePort, consolePort] = [takePort(), takePort(), takePort()]
  const port = options.controlPlanePort ?? freePort

  function start(
    name: string,
    program: string,
    args: string[],
    environment: Record<string, string>,
  ): void {
    processes.set(
      name,
      scope.use(supervise({ name, program, args, env: environment }, logsDir, remember)),
    )
  }
  function startApp(name: string, app: string, environment: Record<string, string>): void {
    const healthPort = takePort()
    health.set(name, healthPort)
    const common = {
      HEALTH_HOST: '127.0.0.1',
      HEALTH_PORT: String(healthPort),
      PIPEOPS_INSTANCE: name,
      SHUTDOWN_GRACE_SECONDS: '5',
    }
    start(name, process.execPath, [...nodeFlags(app), join(root, 'apps', app, 'src/main.ts')], {
      ...common,
      ...environment,
    })
  }

  progress('starting the control plane …')
  const controlPlaneUrl = `https://localhost:${port}`
  startApp('control-plane', 'control-plane', {
    CONTROL_PLANE_HOST: '127.0.0.1',
    CONTROL_PLANE_PORT: String(port),
    CONTROL_PLANE_DATA_DIR: dataDir,
    CONTROL_PLANE_NATS_BIN: tools['nats-server'],
    ...env['control-plane'],
    ...(options.agentDials === undefined
      ? {}
      : { CONTROL_PLANE_PUBLIC_URL: `https://localhost:${await options.agentDials(port)}` }),
  })
  await stackHealth.untilReady(readyMs)
  const caFile = join(dataDir, 'ca.crt')
  async function ctl(...args: string[]): Promise<unknown> {
    const { stdout } = await run(
      process.execPath,
      [join(root, 'apps/control-plane/src/ctl.ts'), '--output', 'json', ...args],
      {
        env: {
          ...process.env,
          CONTROL_PLANE_URL: controlPlaneUrl,
          CONTROL_PLANE_CA_FILE: caFile,
          CONTROL_PLANE_TOKEN_FILE: join(dataDir, 'admin.token'),
        },
        ...(signal && { signal }),
      },
    )
    return stdout === '' ? null : JSON.parse(stdout)
  }

  async function startBus(): Promise<Record<string, string>> {
    const tokenFile = join(dir, 'bus.token')
    const busToken = newToken()
    await writeFile(tokenFile, busToken, { mode: 0o600 })
    const config = join(dir, 'bus.conf')
    const text = `listen: "127.0.0.1:${busPort}"\nauthorization { token: "${busToken}" }\n`
    await writeFile(config, text, { mode: 0o600 })
    start('nats', tools['nats-server'], ['-c', config], {})
    return { BUS_URL: `nats://127.0.0.1:${busPort}`, BUS_TOKEN_FILE: tokenFile }
  }

  progress('starting the agent …')
  const agentTokenFile = join(dir, 'agent.token')
  const { token } = (await ctl('agent-tokens', 'create', '--cluster', clusterName)) as {
    token: string
  }
  await writeFile(agentTokenFile, token, { mode: 0o600 })
  const bus = profile === 'edge' ? {} : await startBus()
  const agentPort = options.agentDials === undefined ? port : await options.agentDials(port)
  const consoleTokenFile = join(dir, 'console.token')
  await writeFile(consoleTokenFile, newToken(), { mode: 0o600 })
  const uplink = {
    ...('kubeconfig' in cluster ? userEnvironment(process.env) : {}),
    ...bus,
    PIPEOPS_CA_FILE: caFile,
    ...kubeEnvironment(cluster),
  }
  const agent = agentProcesses(profile, proxies, {
    link: {
      ...uplink,
      PIPEOPS_API_URL: `https://localhost:${agentPort}`,
      PIPEOPS_TOKEN_FILE: agentTokenFile,
      PIPEOPS_CLUSTER_NAME: clusterName,
      PIPEOPS_STATE: 'kubeconfig' in cluster ? 'file' : 'kubernetes',
      PIPEOPS_STATE_FILE: join(dir, 'agent.state'),
      ...env.link,
    },
    proxy: {
      ...uplink,
      PROXY_IMPERSONATE: 'kubeconfig' in cluster ? 'false' : 'true',
      ...env.proxy,
    },
    console: {
      ...bus,
      PIPEOPS_HOST: '127.0.0.1',
      PIPEOPS_PORT: String(consolePort),
      CONSOLE_TOKEN_FILE: consoleTokenFile,
      ...env.console,
    },
  })
  for (const { name, app, env: environment } of agent) startApp(name, app, environment)

  await writeFile(
    join(dir, 'doctor.json'),
    JSON.stringify({
      ...kubeEnvironment(cluster),
      PIPEOPS_API_URL: `https://localhost:${agentPort}`,
      PIPEOPS_TOKEN_FILE: agentTokenFile,
      PIPEOPS_CA_FILE: caFile,
      PROXY_IMPERSONATE: 'kubeconfig' in cluster ? 'false' : 'true',
      CONSOLE_URL: `http://127.0.0.1:${consolePort}`,
      CONSOLE_TOKEN_FILE: consoleTokenFile,
    }),
    { mode: 0o600 },
  )

  await stackHealth.untilReady(readyMs)
  const kubeconfig = join(dir, 'kubeconfig')
  await ctl(
    'kubeconfig',
    '--cluster',
    clusterName,
    '--user',
    'demo-admin',
    '--group',
    'pipeops:admins',
    '--out',
    kubeconfig,
  )
  const { users } = JSON.parse(await readFile(kubeconfig, 'utf8')) as {
    users: [{ user: { token: string } }]
  }
  const owned = scope.move()
  return {
    controlPlaneUrl,
    caFile,
    consoleUrl: `http://127.0.0.1:${consolePort}`,
    consoleTokenFile,
    kubeconfig,
    clusterName,
    userToken: users[0].user.token,
    processes,
    ctl,
    readyz: stackHealth.readyz,
    metrics: stackHealth.metrics,
    untilReady: (deadlineMs = readyMs) => stackHealth.untilReady(deadlineMs),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

function kubeEnvironment(cluster: StackCluster): Record<string, string> {
  if ('kubeconfig' in cluster) {
    const { kubeconfig, context } = cluster
    return {
      PIPEOPS_KUBECONFIG: kubeconfig,
      ...(context === undefined ? {} : { PIPEOPS_KUBE_CONTEXT: context }),
    }
  }
  return {
    KUBERNETES_URL: cluster.url,
    KUBERNETES_CA_FILE: cluster.caFile,
    KUBERNETES_TOKEN_FILE: cluster.agentTokenFile,
  }
}

function newToken(): string {
  return randomBytes(24).toString('base64url')
}
