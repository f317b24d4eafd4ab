import { tryCluster } from '@agent/checks'
import { AgentError, checkCluster, openPodLogs, reviewAccess, StreamUser } from '@agent/contracts'
import { reviewToken, reviewUser } from '@agent/kube'
import type { Sidecar } from '@agent/sidecar'

import { type PodLogsOptions, servePodLogs } from './pod-logs.ts'

/** The non-resource URL whose RBAC rule lets a user into the console. */
const consolePath = '/pipeops/console'
const anonymous = 'system:anonymous'

/** Answers what the console asks: it has no Kubernetes credential of its own. */
export async function serveConsoleRequests(
  { bus, scope }: Pick<Sidecar<unknown>, 'bus' | 'scope'>,
  options: PodLogsOptions,
): Promise<void> {
  const { api, impersonate } = options
  const logs = scope.use(await servePodLogs(options))
  scope.use(
    bus.serve(openPodLogs, async ({ query, user }) => {
      if (!impersonate && user.name === anonymous) {
        throw new AgentError('forbidden', 'without impersonation nobody unknown reads pods’ logs')
      }
      return { url: logs.open(query, user) }
    }),
  )
  scope.use(
    bus.serve(checkCluster, async () => ({ steps: await tryCluster(api, { impersonate }) })),
  )
  scope.use(
    bus.serve(reviewAccess, async ({ asker, verb }) => {
      const user = 'user' in asker ? asker.user : await reviewToken(api, asker.token)
      if (user === undefined) {
        return { user: null, allowed: false, reason: 'the cluster does not know this token' }
      }
      if (!StreamUser.safeParse(user).success) {
        return {
          user: null,
          allowed: false,
          reason: 'the user’s name is too long or has more than 64 groups',
        }
      }
      if (!impersonate && !('user' in asker)) {
        // Whoever comes in reads pods' logs with this one credential, which may do more than theirs.
        const reason = 'without impersonation only the tunnel and CONSOLE_TOKEN_FILE let in'
        return { user, allowed: false, reason }
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
