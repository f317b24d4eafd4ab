import * as z from 'zod'

import { defineRequest } from './contract.ts'
import { StreamUser } from './stream-heads.ts'

/** Who asks: somebody with a bearer token of the cluster's, or somebody the control plane has authenticated. */
const Asker = z.union([
  z.strictObject({ token: z.string().min(1).max(16_384) }),
  z.strictObject({ user: StreamUser }),
])

/**
 * May this user have this path of the console? By TokenReview and SubjectAccessReview (a non-resource URL
 * `/pipeops/console`), asked by a proxy.
 */
export const reviewAccess = defineRequest({
  subject: 'agent.access.review',
  input: z.strictObject({ asker: Asker, verb: z.string().max(16) }),
  output: z.strictObject({
    user: StreamUser.nullable(),
    allowed: z.boolean(),
    reason: z.string(),
  }),
})

const name = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)

/** Which log of which pod, from when. */
export const PodLogsQuery = z.strictObject({
  namespace: name,
  pod: name,
  container: name.optional(),
  follow: z.boolean(),
  sinceSeconds: z.int().min(1).max(31_536_000).optional(),
  tailLines: z.int().min(0).max(10_000).optional(),
})
export type PodLogsQuery = z.infer<typeof PodLogsQuery>

/** Opens a pod's log as that user; the answer is a loopback URL that serves it once, soon. */
export const openPodLogs = defineRequest({
  subject: 'agent.podlogs.open',
  input: z.strictObject({ query: PodLogsQuery, user: StreamUser }),
  output: z.strictObject({ url: z.url() }),
})

/** Where the pod's console listens, and the secret by which it knows the proxy. */
export const consoleAddress = defineRequest({
  subject: 'agent.console.address',
  input: z.strictObject({}),
  output: z.strictObject({ url: z.url(), secret: z.string() }),
})

/** Headers by which the proxy tells the console who asks through the tunnel. */
export const consoleHeaders = {
  secret: 'x-pipeops-console-secret',
  user: 'x-pipeops-user',
  groups: 'x-pipeops-groups',
} as const
