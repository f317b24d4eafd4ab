import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'

import { hostPath } from '@agent/toolbox'

import { type ApiReader, createApiReader } from './api-reader.ts'
import type { Cluster } from './embedded.ts'
import { compilePolicies, policyChain, type PolicyState } from './network-policy.ts'
import { tryRun } from './node-host.ts'
import { space } from './node-names.ts'

const pollMs = 300

/**
 * Enforces the NetworkPolicies of the whole node's cluster until it is disposed: its bridge does not, and of the network
 * plugins that do none can be had without a container registry. Rules follow objects within a second.
 */
export async function enforcePolicies(cluster: Cluster): Promise<AsyncDisposable> {
  const inside = (program: string, args: string[], input = ''): Promise<void> =>
    feed('nsenter', [`--net=/run/netns/${space.name}`, program, ...args], input)
  // Pods are ports of one bridge; where its frames do not pass iptables, nothing is enforced between them.
  await tryRun('modprobe', 'br_netfilter')
  await inside('sh', ['-c', 'echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables'])
  await using scope = new AsyncDisposableStack()
  const api = scope.use(await createApiReader(cluster))
  let rules = ''
  const apply = async (): Promise<void> => {
    const next = compilePolicies(await readState(api))
    if (next === rules) return
    await inside('iptables-restore', ['--noflush', '--wait'], next)
    rules = next
  }
  await apply()
  // To pods and other hosts, and to the node itself; what the node asks is not held up.
  for (const chain of ['FORWARD', 'INPUT']) {
    await inside('iptables', ['--wait', '-I', chain, '-j', policyChain])
    scope.defer(() => inside('iptables', ['--wait', '-D', chain, '-j', policyChain]))
  }
  const stopping = new AbortController()
  const loop = repeat(apply, stopping.signal)
  scope.defer(() => {
    stopping.abort()
    return loop
  })
  const owned = scope.move()
  return { [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

async function readState({ read }: ApiReader): Promise<PolicyState> {
  const list = async <T>(path: string): Promise<T[]> => (await read<{ items: T[] }>(path)).items
  const [namespaces, pods, policies] = await Promise.all([
    list<PolicyState['namespaces'][number]>('/api/v1/namespaces'),
    list<PolicyState['pods'][number]>('/api/v1/pods'),
    list<PolicyState['policies'][number]>('/apis/networking.k8s.io/v1/networkpolicies'),
  ])
  return { namespaces, pods, policies }
}

async function repeat(task: () => Promise<void>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // What cannot be read or set now is tried again; whoever waits for a rule has a deadline.
    await task().catch(() => {})
    await delay(pollMs, undefined, { signal }).catch(() => {})
  }
}

async function feed(program: string, args: string[], input: string): Promise<void> {
  const child = spawn(program, args, { env: { PATH: hostPath }, stdio: ['pipe', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')))
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit ${code}\n${errors}`)
}
