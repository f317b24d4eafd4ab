import { AgentError, type CheckStep } from '@agent/contracts'
import {
  type ApiServer,
  impersonates,
  missingRights,
  type NeededRight,
  tryApiServer,
} from '@agent/kube'

import { type Found, takeSteps } from './steps.ts'

const rights: NeededRight[] = [
  { verb: 'list', resource: 'nodes', purpose: 'the count of nodes in heartbeats' },
  { verb: 'list', resource: 'pods', purpose: 'the count of pods in heartbeats' },
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

/** Tries the API server, then asks it which rights of the agent's are missing: the agent works, with less. */
export function tryCluster(
  api: ApiServer,
  { impersonate }: { impersonate: boolean },
): Promise<CheckStep[]> {
  return takeSteps([
    {
      name: 'api server',
      hop: 'api-server',
      run: async () => ({ text: `ready, version ${await tryApiServer(api)}` }),
    },
    { name: 'rights', hop: 'api-server', run: () => rightsFound(api) },
    {
      name: 'impersonation',
      hop: 'api-server',
      run: () =>
        impersonate
          ? impersonationFound(api)
          : { text: 'turned off: requests use the agent’s own credential', verdict: 'skip' },
    },
  ])
}

async function rightsFound(api: ApiServer): Promise<Found> {
  const missing = await missingRights(api, rights)
  if (missing.length === 0) return { text: `all ${rights.length} rights are there` }
  const list = missing.map(({ verb, resource, purpose }) => `${verb} ${resource} (${purpose})`)
  return {
    text: `missing: ${list.join(', ')}`,
    verdict: 'warn',
    advice: 'Add the rights to the agent’s role, or do without what they are for.',
  }
}

async function impersonationFound(api: ApiServer): Promise<Found> {
  const [users, groups] = await Promise.all([
    impersonates(api, 'users'),
    impersonates(api, 'groups'),
  ])
  if (users === 'any') return { text: 'may act as any user' }
  if (users.length === 0) {
    throw new AgentError(
      'rbac-missing',
      'the agent may impersonate no user, so nobody can do anything through it',
    )
  }
  const names = groups === 'any' ? ['any group'] : groups.map((group) => `group ${group}`)
  return { text: `may act as ${[...users, ...names].join(', ')}`.slice(0, 1_000) }
}
