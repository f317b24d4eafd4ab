import { AgentError } from '@agent/contracts'

import type { ApiServer } from './api-server.ts'
import { callKube } from './call.ts'

/** A right the agent works with, and what for. */
export type NeededRight = {
  verb: string
  resource: string
  group?: string
  /** What does not work without it. */
  purpose: string
}

/** Asks the API server whether it is ready; returns its version. Throws `api-server-…` or `rbac-missing`. */
export async function tryApiServer(api: ApiServer): Promise<string> {
  const { status } = await callKube(api, { path: '/readyz', accept: 'text/plain' })
  if (status === 401) {
    throw new AgentError('rbac-missing', 'the API server refuses the agent’s credential (401)')
  }
  if (status >= 500) {
    throw new AgentError('api-server-unreachable', `the API server is not ready (${status})`)
  }
  const { body } = await callKube(api, { path: '/version' })
  return (body as { gitVersion?: string } | null)?.gitVersion ?? 'unknown'
}

type RulesReview = {
  status?: {
    resourceRules?: { verbs: string[]; resources?: string[]; resourceNames?: string[] }[]
  }
}

/** Whom the agent may impersonate: names, `any`, or nobody. By SelfSubjectRulesReview, because roles name users. */
export async function impersonates(
  api: ApiServer,
  resource: 'users' | 'groups',
): Promise<string[] | 'any'> {
  const { body } = await callKube(api, {
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectRulesReview',
      spec: { namespace: 'default' },
    },
  })
  const rules = (body as RulesReview | null)?.status?.resourceRules ?? []
  const own = rules.filter(
    ({ verbs, resources = [] }) => includes(verbs, 'impersonate') && includes(resources, resource),
  )
  if (own.some(({ resourceNames = [] }) => resourceNames.length === 0)) return 'any'
  return own.flatMap(({ resourceNames = [] }) => resourceNames)
}

function includes(list: readonly string[], wanted: string): boolean {
  return list.includes(wanted) || list.includes('*')
}

/** Asks by SelfSubjectAccessReview which of these rights are missing. */
export async function missingRights(
  api: ApiServer,
  rights: readonly NeededRight[],
): Promise<NeededRight[]> {
  const answers = await Promise.all(
    rights.map(async ({ verb, resource, group = '' }) => {
      const { status, body } = await callKube(api, {
        method: 'POST',
        path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
        body: {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SelfSubjectAccessReview',
          spec: { resourceAttributes: { verb, resource, group } },
        },
      })
      return status < 300 && (body as { status?: { allowed?: boolean } }).status?.allowed === true
    }),
  )
  return rights.filter((_, index) => !answers[index])
}
