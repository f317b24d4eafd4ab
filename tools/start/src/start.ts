import { once } from 'node:events'
import { access, mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

import { startEmbeddedCluster } from '@agent/cluster'
import { type AgentProfile, startStack, type StackCluster } from '@agent/stack'
import { type Progress, resolveTool, takeOwnerLock, untilStopped } from '@agent/toolbox'

const runDir = process.env['PIPEOPS_RUN_DIR'] ?? join(import.meta.dirname, '../../../.run')
const usage =
  'npm start [-- --kubeconfig FILE [--context NAME]] [--profile sidecars|edge] [--proxies N] [--port N]'
const profiles: readonly string[] = ['sidecars', 'edge'] satisfies AgentProfile[]

type Flags = {
  kubeconfig?: string
  context?: string
  profile: AgentProfile
  proxies: number
  port?: number
}

/** Brings up control plane, agent and (unless given) a cluster, until Ctrl-C; returns the exit code, 130 if that was before all was up. */
export async function start(argv: string[]): Promise<number> {
  const flags = await readFlags(argv)
  if (typeof flags === 'string') {
    process.stderr.write(`${flags}\nusage: ${usage}\n`)
    return 2
  }
  const progress = (message: string): void => void process.stderr.write(`${message}\n`)
  const code = await untilStopped((signal) => run(flags, { progress, signal }), { progress })
  if (code !== 1) progress('stopped; nothing is left running')
  return code
}

async function run(
  flags: Flags,
  { progress, signal }: { progress: Progress; signal: AbortSignal },
): Promise<void> {
  await using scope = new AsyncDisposableStack()
  await takeRunDir(scope)
  const cluster = await openCluster(flags, scope, { progress, signal })
  const stack = await startStack({
    dir: runDir,
    cluster,
    clusterName: 'my-cluster',
    proxies: flags.proxies,
    profile: flags.profile,
    progress,
    signal,
    ...(flags.port === undefined ? {} : { controlPlanePort: flags.port }),
  })
  scope.use(stack)
  const kubectl = await resolveTool('kubectl', { progress, signal })
  progress(`
The cluster "${stack.clusterName}" is reachable through the control plane at ${stack.controlPlaneUrl}.
In another terminal:

  ${kubectl} --kubeconfig ${stack.kubeconfig} get pods -A

The dashboard: ${stack.consoleUrl}/dashboard (token: ${stack.consoleTokenFile})
npm run doctor says whether all is well. Logs of every process are in ${join(runDir, 'logs')}. Ctrl-C stops everything.`)
  if (!signal.aborted) await once(signal, 'abort')
}

async function openCluster(
  flags: Flags,
  scope: AsyncDisposableStack,
  options: { progress: Progress; signal: AbortSignal },
): Promise<StackCluster> {
  if (flags.kubeconfig !== undefined)
    return { kubeconfig: flags.kubeconfig, context: flags.context }
  return scope.use(await startEmbeddedCluster({ dir: join(runDir, 'cluster'), ...options }))
}

async function readFlags(argv: string[]): Promise<Flags | string> {
  let values
  try {
    values = parseArgs({
      args: argv,
      options: {
        kubeconfig: { type: 'string' },
        context: { type: 'string' },
        profile: { type: 'string', default: 'sidecars' },
        proxies: { type: 'string', default: '1' },
        port: { type: 'string' },
      },
    }).values
  } catch (error) {
    return (error as Error).message
  }
  const proxies = Number(values.proxies)
  if (!Number.isInteger(proxies) || proxies < 1 || proxies > 8)
    return '--proxies: expected a number from 1 to 8'
  const { profile } = values
  if (!profiles.includes(profile)) return `--profile: expected ${profiles.join(' or ')}`
  const port = values.port === undefined ? undefined : Number(values.port)
  if (port !== undefined && !(port > 0 && port < 65_536)) return '--port: expected a port number'
  if (values.context !== undefined && values.kubeconfig === undefined) {
    return '--context: give the --kubeconfig that it is in'
  }
  const kubeconfig = values.kubeconfig === undefined ? undefined : resolve(values.kubeconfig)
  if (kubeconfig !== undefined && !(await isReadable(kubeconfig))) {
    return `--kubeconfig: cannot read ${kubeconfig}`
  }
  return {
    profile: profile as AgentProfile,
    proxies,
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(values.context === undefined ? {} : { context: values.context }),
    ...(port === undefined ? {} : { port }),
  }
}

/** One `npm start` at a time: two would fight over the same state. */
async function takeRunDir(scope: AsyncDisposableStack): Promise<void> {
  await mkdir(runDir, { recursive: true, mode: 0o700 })
  const lock = await takeOwnerLock(join(runDir, 'pid'))
  if (!lock.isOurs) {
    throw new Error(
      `it runs already, as process ${lock.owner}; stop that one with Ctrl-C or kill ${lock.owner}`,
    )
  }
  scope.defer(() => lock.release())
}

async function isReadable(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}
