import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { eventually } from '@agent/testing'

import type { Agent } from './agent.ts'
import type { Checks } from './checks.ts'
import { names } from './names.ts'
import type { World } from './world.ts'

const golden = join(import.meta.dirname, '../golden')
const profiles: Record<string, object> = {
  default: {},
  'read-only': {},
  namespaced: { namespaces: ['shop'] },
  admin: {},
}
const settleMs = 5_000
/** Somebody on the list whom no binding of the cluster's own names. */
const listed = { user: 'alice', group: 'developers' }

/**
 * What `kubectl auth can-i --list` says of the agent and of a listed user, for each RBAC profile, is what is written
 * down in `golden/`; `E2E_GOLDEN=write` writes it anew.
 */
export async function checkRights(
  { check }: Checks,
  world: World,
  { namespace, release, upgrade }: Agent,
): Promise<void> {
  for (const [profile, more] of Object.entries(profiles)) {
    await check(`rights with the RBAC profile ${profile}`, async () => {
      const rbac = {
        profile,
        users: [names.user, listed.user],
        groups: [names.group, listed.group],
        ...more,
      }
      await upgrade({ rbac })
      const account = `system:serviceaccount:${namespace}:${release}`
      const person = ['--as', listed.user, '--as-group', listed.group]
      const read = async (): Promise<string> => {
        const lists = [
          list('the agent, in its namespace', namespace, ['--as', account]),
          list('the agent, elsewhere', names.shop, ['--as', account]),
          list('a listed user, in shop', names.shop, person),
          list('a listed user, elsewhere', 'default', person),
        ]
        return (await Promise.all(lists)).join('\n')
      }
      const file = join(golden, `rights-${profile}.txt`)
      if (process.env['E2E_GOLDEN'] === 'write') {
        await mkdir(golden, { recursive: true })
        await writeFile(file, await read())
      }
      const expected = await readFile(file, 'utf8')
      // The API server learns of changed rules a moment later.
      await eventually(
        async () => {
          assert.equal(await read(), expected)
          return true
        },
        { deadlineMs: settleMs, what: 'the rights are those in golden/' },
      )
    })
  }
  await check('the profile it was installed with is back', () => upgrade({}))

  async function list(title: string, namespace: string, as: string[]): Promise<string> {
    const asked = ['auth', 'can-i', '--list', '--no-headers', '-n', namespace]
    const said = await world.kubectl([...asked, ...as])
    const lines = said.split('\n').map((line) => line.trim().replaceAll(/\s+/g, ' '))
    return [`# ${title}`, ...lines.filter(Boolean).toSorted(), ''].join('\n')
  }
}
