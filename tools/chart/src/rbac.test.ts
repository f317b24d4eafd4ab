import { join } from 'node:path'

import { beforeAll, test } from 'vitest'

import { type Helm, openHelm } from './helm.ts'
import { type KubeObject, parseObjects, type Rule } from './objects.ts'

let helm: Helm
beforeAll(async () => {
  helm = await openHelm()
})

const profiles = {
  default: {},
  'read-only': {},
  namespaced: { namespaces: ['shop', 'payments'] },
  admin: {},
}
const profileNames = Object.keys(profiles) as (keyof typeof profiles)[]

async function render(profile: keyof typeof profiles): Promise<KubeObject[]> {
  const values = {
    agent: { pipeops: { token: 'x' }, cluster: { name: 'prod' } },
    rbac: { profile, users: ['alice@example.com'], groups: ['developers'], ...profiles[profile] },
  }
  return parseObjects(await helm.template('agent', values, { release: 'pipeops-agent' }))
}

test.for(profileNames)(
  'the rights of profile %s are the reviewed ones (golden/)',
  async (profile, { expect }) => {
    const file = join(import.meta.dirname, '../golden', `rbac-${profile}.txt`)
    const lines = (await render(profile)).flatMap(describeRights)
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(file)
  },
)

test.for(profileNames)(
  'profile %s gives the agent nothing by which it could get more',
  async (profile, { expect }) => {
    const objects = await render(profile)
    const bindings = objects.filter(({ subjects = [] }) =>
      subjects.some(({ kind }) => kind === 'ServiceAccount'),
    )
    const roles = new Set(bindings.map(({ roleRef }) => `${roleRef?.kind} ${roleRef?.name}`))
    expect([...roles]).toStrictEqual([
      'ClusterRole pipeops-system:pipeops-agent',
      'Role pipeops-agent',
    ])
    const rules = objects
      .filter(({ kind, metadata }) => roles.has(`${kind} ${metadata.name}`))
      .flatMap(({ rules = [] }) => rules)
    const mayBeMade = ['configmaps', 'subjectaccessreviews', 'tokenreviews']
    for (const { verbs, resources = [], resourceNames = [] } of rules) {
      const what = `${verbs.join()} ${resources.join()}`
      expect(what).not.toMatch(/[*/]|escalate|bind|delete/)
      if (verbs.includes('create')) expect(mayBeMade).toEqual(expect.arrayContaining(resources))
      if (/impersonate|secrets/.test(what)) expect(resourceNames, what).not.toStrictEqual([])
    }
  },
)

function describeRights({ kind, metadata, rules, roleRef, subjects }: KubeObject): string[] {
  const title = [
    kind,
    metadata.name,
    ...(metadata.namespace === undefined ? [] : ['in', metadata.namespace]),
  ]
  if (rules !== undefined)
    return [title.join(' '), ...rules.map((rule) => `  ${describeRule(rule)}`)]
  if (roleRef === undefined || subjects === undefined) return []
  const who = subjects.map((subject) => `${subject.kind} ${subject.name}`).join(', ')
  return [title.join(' '), `  ${who} → ${roleRef.kind} ${roleRef.name}`]
}

function describeRule(rule: Rule): string {
  const { verbs, apiGroups = [''], resources = [], resourceNames, nonResourceURLs = [] } = rule
  const kinds = apiGroups.flatMap((group) =>
    resources.map((resource) => (group === '' ? resource : `${resource}.${group}`)),
  )
  const names = resourceNames === undefined ? '' : ` [${resourceNames.join(', ')}]`
  return `${verbs.join(',')} ${[...kinds, ...nonResourceURLs].join(' ')}${names}`
}
