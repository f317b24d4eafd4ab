import { tryCluster } from '@agent/checks'
import { checkCluster, openPodLogs, reviewAccess, type StreamUser } from '@agent/contracts'
import { reviewToken, reviewUser } from '@agent/kube'
import type { Sidecar } from '@agent/sidecar'

import { type PodLogsOptions, servePodLogs } from './pod-logs.ts'

/** The non-resource URL whose RBAC rule lets a user into the console. */
const consolePath = '/pipeops/console'

/** Answers what the console asks: it has no Kubernetes credential of its own. */
export async function serveConsoleRequests(
  { bus, scope }: Pick<Sidecar<unknown>, 'bus' | 'scope'>,
  options: PodLogsOptions,
): Promise<void> {
  const { api, impersonate } = options
  const logs = scope.use(await servePodLogs(options))
  scope.use(bus.serve(openPodLogs, async ({ query, user }) => ({ url: logs.open(query, user) })))
  scope.use(
    bus.serve(checkCluster, async () => ({ steps: await tryCluster(api, { impersonate }) })),
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

  async function mayEnter(user: StreamUser, verb: string, isThroughTunnel: boolean) {
    // Without impersonation whoever the control plane lets through acts with this one credential anyway.
    if (isThroughTunnel && !impersonate) return true
    return reviewUser(api, user, { path: consolePath, verb })
  }
}
