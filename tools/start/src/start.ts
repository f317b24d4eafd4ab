import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

import { startEmbeddedCluster } from '@agent/cluster'
import { startStack, type StackCluster } from '@agent/stack'
import { resolveTool } from '@agent/toolbox'

const runDir = join(import.meta.dirname, '../../../.run')
const usage = 'npm start [-- --kubeconfig FILE [--context NAME]] [--proxies N] [--port N]'

type Flags = { kubeconfig?: string; context?: string; proxies: number; port?: number }

/** Brings up control plane, agent and (unless given) a cluster, until Ctrl-C; returns the exit code. */
export async function start(argv: string[]): Promise<number> {
  const flags = await readFlags(argv)
  if (typeof flags === 'string') {
    process.stderr.write(`${flags}\nusage: ${usage}\n`)
    return 2
  }
  const stopped = Promise.withResolvers<void>()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.resolve())
  const say = (message: string): void => void process.stderr.write(`${message}\n`)
  try {
    await using scope = new AsyncDisposableStack()
    await takeRunDir(scope)
    const cluster = await openCluster(flags, scope, say)
    const stack = await startStack({
      dir: runDir,
      cluster,
      clusterName: 'my-cluster',
      proxies: flags.proxies,
      progress: say,
      ...(flags.port === undefined ? {} : { controlPlanePort: flags.port }),
    })
    scope.use(stack)
    const kubectl = await resolveTool('kubectl', { progress: say })
    say(`
The cluster "${stack.clusterName}" is reachable through the control plane at ${stack.controlPlaneUrl}.
In another terminal:

  ${kubectl} --kubeconfig ${stack.kubeconfig} get pods -A

Logs of every process are in ${join(runDir, 'logs')}. Ctrl-C stops everything.`)
    await stopped.promise
    say('stopping …')
  } catch (error) {
    say((error as Error).message)
    return 1
  }
  say('stopped; nothing is left running')
  return 0
}

async function openCluster(
  flags: Flags,
  scope: AsyncDisposableStack,
  progress: (message: string) => void,
): Promise<StackCluster> {
  if (flags.kubeconfig !== undefined)
    return { kubeconfig: flags.kubeconfig, context: flags.context }
  return scope.use(await startEmbeddedCluster({ dir: join(runDir, 'cluster'), progress }))
}

async function readFlags(argv: string[]): Promise<Flags | string> {
  let values
  try {
    values = parseArgs({
      args: argv,
      options: {
        kubeconfig: { type: 'string' },
        context: { type: 'string' },
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
    proxies,
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(values.context === undefined ? {} : { context: values.context }),
    ...(port === undefined ? {} : { port }),
  }
}

/** One `npm start` at a time: two would fight over the same state. */
async function takeRunDir(scope: AsyncDisposableStack): Promise<void> {
  await mkdir(runDir, { recursive: true, mode: 0o700 })
  const lock = join(runDir, 'pid')
  const owner = Number(await readFile(lock, 'utf8').catch(() => ''))
  if (owner > 0 && isAlive(owner)) {
    throw new Error(
      `it runs already, as process ${owner}; stop that one with Ctrl-C or kill ${owner}`,
    )
  }
  await writeFile(lock, String(process.pid))
  scope.defer(() => rm(lock, { force: true }))
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function isReadable(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}
