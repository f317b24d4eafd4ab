import assert from 'node:assert/strict'

import { type Checks, mustExecute, openDoorOf } from '@agent/e2e'
import { eventually } from '@agent/testing'
import { resolveTool } from '@agent/toolbox'

import type { Up } from './up.ts'

/** The agent in front of a cluster of this machine, with its administrator's kubeconfig and two proxies. */
export async function checkKubeconfig({ check }: Checks, { kubeconfig }: Up): Promise<void> {
  using door = await openDoorOf(kubeconfig)
  const program = await resolveTool('kubectl')
  const kubectl = (...args: string[]) => mustExecute(program, ['--kubeconfig', kubeconfig, ...args])
  await check('kubectl acts as the person whose kubeconfig was given', async () => {
    assert.equal((await kubectl('get', 'nodes', '-o', 'name')).trim().split('\n').length, 3)
    assert.match(await kubectl('auth', 'whoami', '-o', 'json'), /"username": "admin"/)
  })
  await check('two proxies share the network, each with a name of its own', async () => {
    await eventually(
      async () => {
        const { body } = await door.fetch('agent/api/health/detailed')
        return new Set(body.match(/proxy-[0-9a-f]{6}/g)).size === 2
      },
      { deadlineMs: 60_000, what: 'the console knows both' },
    )
  })
}
