import { ctl, publicUrl } from './control-plane.ts'
import { type AgentName, charts, fastProbes, local, names, restricted } from './names.ts'
import { type Pod, readyPods } from './pods.ts'
import type { World } from './world.ts'

/** One agent with a namespace and a cluster's name of its own: several of them share the node. */
export type Agent = {
  release: string
  namespace: string
  /** What it is called at the control plane. */
  cluster: string
  /** As the README says; resolves when it is ready. */
  install(): Promise<void>
  /** Changes values on top of those it was installed with, without waiting for the pods. */
  upgrade(changes: object): Promise<void>
  rollback(): Promise<void>
  uninstall(): Promise<void>
  /** Its pods, those that end too. */
  pods(): Promise<Pod[]>
  /** Resolves when every container of the newest pods is ready and the ones before are gone. */
  untilReady(timeoutMs?: number): Promise<Pod[]>
}

/** The Secret with which the console lets in, besides users; its only key is `token`. */
export const consoleSecret = { name: 'console-token', token: 'opens-the-console-of-the-e2e' }

/** Makes namespace and tokens; `authority` is the control plane's, in PEM. */
export async function prepareAgent(
  world: World,
  { release, namespace, cluster, own }: AgentName,
  authority: string,
): Promise<Agent> {
  const { token } = await ctl<{ token: string }>(
    world,
    ...['agent-tokens', 'create', '--cluster', cluster],
  )
  const secret = (name: string, token: string): object => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    stringData: { token },
  })
  await world.apply(
    restricted(namespace),
    secret('agent-token', token),
    secret(consoleSecret.name, consoleSecret.token),
  )
  const values = {
    agent: {
      cluster: { name: cluster },
      pipeops: {
        apiUrl: publicUrl(world),
        existingSecret: 'agent-token',
        tls: { caBundle: authority },
      },
      ...own.agent,
    },
    rbac: { users: [names.user], groups: [names.group] },
    image: local(world.images.agent),
    nats: { image: local(world.images.nats) },
    probes: fastProbes,
    profile: own.profile,
  }
  const here = [release, '-n', namespace]
  const selector = `app.kubernetes.io/instance=${release},app.kubernetes.io/component=agent`
  const self: Agent = {
    release,
    namespace,
    cluster,
    async install() {
      const args = ['install', release, charts.agent, '-n', namespace]
      await world.helm([...args, '--wait', '--timeout', '120s'], { values })
      await self.untilReady()
    },
    async upgrade(changes) {
      await world.helm(['upgrade', release, charts.agent, '-n', namespace], {
        values: { ...values, ...changes },
      })
    },
    async rollback() {
      await world.helm(['rollback', ...here, '--wait', '--timeout', '120s'])
    },
    async uninstall() {
      await world.helm(['uninstall', ...here, '--wait'])
    },
    async pods() {
      const { items } = await world.read<{ items: Pod[] }>(
        `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`,
      )
      return items
    },
    async untilReady(timeoutMs = 90_000) {
      const timeout = `--timeout=${timeoutMs / 1_000}s`
      await world.kubectl(['rollout', 'status', `deployment/${release}`, '-n', namespace, timeout])
      return readyPods(() => self.pods(), timeoutMs)
    },
  }
  return self
}
