import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Checks } from './checks.ts'
import { names, upgradeAgent } from './install.ts'
import type { World } from './world.ts'

const golden = join(import.meta.dirname, '../golden')
const profiles: Record<string, object> = {
  default: {},
  'read-only': {},
  namespaced: { namespaces: ['shop'] },
  admin: {},
}
/** Somebody on the list whom no binding of the cluster's own names. */
const listed = { user: 'alice', group: 'developers' }

/**
 * What `kubectl auth can-i --list` says of the agent and of a listed user, for each RBAC profile, is what is written
 * down in `golden/`; `E2E_GOLDEN=write` writes it anew.
 */
export async function checkRights({ check }: Checks, world: World): Promise<void> {
  for (const [profile, more] of Object.entries(profiles)) {
    await check(`rights with the RBAC profile ${profile}`, async () => {
      const rbac = {
        profile,
        users: [names.user, listed.user],
        groups: [names.group, listed.group],
        ...more,
      }
      await upgradeAgent(world, { rbac })
      const { namespace, release } = names.agent
      const account = `system:serviceaccount:${namespace}:${release}`
      const person = ['--as', listed.user, '--as-group', listed.group]
      const text = [
        await list('the agent, in its namespace', namespace, ['--as', account]),
        await list('the agent, elsewhere', 'shop', ['--as', account]),
        await list('a listed user, in shop', 'shop', person),
        await list('a listed user, elsewhere', 'default', person),
      ].join('\n')
      const file = join(golden, `rights-${profile}.txt`)
      if (process.env['E2E_GOLDEN'] === 'write') {
        await mkdir(golden, { recursive: true })
        await writeFile(file, text)
      }
      assert.equal(text, await readFile(file, 'utf8'))
    })
  }
  await upgradeAgent(world, {})

  async function list(title: string, namespace: string, as: string[]): Promise<string> {
    const asked = ['auth', 'can-i', '--list', '--no-headers', '-n', namespace]
    const said = await world.kubectl([...asked, ...as])
    const lines = said.split('\n').map((line) => line.trim().replaceAll(/\s+/g, ' '))
    return [`# ${title}`, ...lines.filter(Boolean).toSorted(), ''].join('\n')
  }
}
