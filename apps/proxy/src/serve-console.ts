import {
  AgentError,
  checkCluster,
  openPodLogs,
  reviewAccess,
  type StreamUser,
} from '@agent/contracts'
import {
  impersonates,
  missingRights,
  type NeededRight,
  reviewToken,
  reviewUser,
  tryApiServer,
} from '@agent/kube'
import type { Sidecar } from '@agent/sidecar'
import { type Found, takeSteps } from '@agent/uplink'

import { type PodLogsOptions, servePodLogs } from './pod-logs.ts'

/** The non-resource URL whose RBAC rule lets a user into the console. */
const consolePath = '/pipeops/console'

const always: NeededRight[] = [
  { verb: 'list', resource: 'nodes', purpose: 'the count of nodes in heartbeats' },
  { verb: 'list', resource: 'pods', purpose: 'the count of pods in heartbeats' },
]
const forConsole: NeededRight[] = [
  {
    verb: 'create',
    resource: 'tokenreviews',
    group: 'authentication.k8s.io',
    purpose: 'letting people into the console by their cluster token',
  },
  {
    verb: 'create',
    resource: 'subjectaccessreviews',
    group: 'authorization.k8s.io',
    purpose: 'letting people into the console by RBAC',
  },
]

/** Answers what the console asks: it has no Kubernetes credential of its own. */
export async function serveConsoleRequests(
  { bus, scope }: Pick<Sidecar<unknown>, 'bus' | 'scope'>,
  options: PodLogsOptions,
): Promise<void> {
  const { api, impersonate } = options
  const logs = scope.use(await servePodLogs(options))
  scope.use(bus.serve(openPodLogs, async ({ query, user }) => ({ url: logs.open(query, user) })))
  scope.use(
    bus.serve(checkCluster, async () => ({
      steps: await takeSteps([
        {
          name: 'api server',
          hop: 'api-server',
          run: async () => ({ text: `ready, version ${await tryApiServer(api)}` }),
        },
        {
          name: 'rights',
          hop: 'api-server',
          run: () => rightsFound([...always, ...forConsole]),
        },
        { name: 'impersonation', hop: 'api-server', run: impersonationFound },
      ]),
    })),
  )
  scope.use(
    bus.serve(reviewAccess, async ({ asker, verb }) => {
      const user = 'user' in asker ? asker.user : await reviewToken(api, asker.token)
      if (user === undefined) {
        return { user: null, allowed: false, reason: 'the cluster does not know this token' }
      }
      const allowed = await mayEnter(user, verb, 'user' in asker)
      const reason = allowed ? '' : `${user.name} may not ${verb} ${consolePath} in this cluster`
      return { user, allowed, reason }
    }),
  )

  async function rightsFound(needed: NeededRight[]) {
    const missing = await missingRights(api, needed)
    if (missing.length === 0) return { text: `all ${needed.length} rights are there` }
    const list = missing.map(({ verb, resource, purpose }) => `${verb} ${resource} (${purpose})`)
    throw new AgentError('rbac-missing', `missing: ${list.join(', ')}`)
  }

  async function impersonationFound(): Promise<Found> {
    if (!impersonate)
      return { text: 'turned off: requests use the agent’s own credential', verdict: 'skip' }
    const [users, groups] = await Promise.all([
      impersonates(api, 'users'),
      impersonates(api, 'groups'),
    ])
    if (users === 'any') return { text: 'may act as any user' }
    if (users.length === 0 && groups.length === 0) {
      throw new AgentError(
        'rbac-missing',
        'the agent may impersonate nobody, so no user can do anything',
      )
    }
    const names = groups === 'any' ? ['any group'] : groups.map((group) => `group ${group}`)
    return { text: `may act as ${[...users, ...names].join(', ')}`.slice(0, 1_000) }
  }

  async function mayEnter(user: StreamUser, verb: string, isThroughTunnel: boolean) {
    // Without impersonation whoever the control plane lets through acts with this one credential anyway.
    if (isThroughTunnel && !impersonate) return true
    return reviewUser(api, user, { path: consolePath, verb })
  }
}
