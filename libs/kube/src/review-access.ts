import { AgentError, type StreamUser } from '@agent/contracts'

import type { ApiServer } from './api-server.ts'
import { callKube } from './call.ts'

/** Whose token this is, by TokenReview; undefined when the API server does not know it. */
export async function reviewToken(api: ApiServer, token: string): Promise<StreamUser | undefined> {
  const { status, body } = await callKube(api, {
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/tokenreviews',
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } },
  })
  assertAllowed(status, 'tokenreviews.authentication.k8s.io')
  const review = (body as Review).status
  if (review?.authenticated !== true || review.user?.username === undefined) return undefined
  return { name: review.user.username, groups: review.user.groups ?? [] }
}

/** Whether a user may have a non-resource URL, by SubjectAccessReview. */
export async function reviewUser(
  api: ApiServer,
  user: StreamUser,
  what: { path: string; verb: string },
): Promise<boolean> {
  const { status, body } = await callKube(api, {
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user: user.name, groups: user.groups, nonResourceAttributes: what },
    },
  })
  assertAllowed(status, 'subjectaccessreviews.authorization.k8s.io')
  return (body as Review).status?.allowed === true
}

type Review = {
  status?: {
    allowed?: boolean
    authenticated?: boolean
    user?: { username?: string; groups?: string[] }
  }
}

function assertAllowed(status: number, resource: string): void {
  if (status < 300) return
  throw new AgentError(
    'rbac-missing',
    `the agent may not create ${resource} (${status}), so nobody can be let in`,
  )
}
