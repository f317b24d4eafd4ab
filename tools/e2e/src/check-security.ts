import assert from 'node:assert/strict'

import type { Agent } from './agent.ts'
import type { Checks } from './checks.ts'
import { execute } from './command.ts'
import { limitsMib } from './names.ts'
import { restrictedContainer } from './workload.ts'
import type { World } from './world.ts'

/** Asked of Node in each container: there is no shell in it. */
const probe = `
  const fs = require('node:fs')
  const attempt = (run) => { try { run(); return 'done' } catch (error) { return error.code } }
  console.log(JSON.stringify({
    uid: process.getuid(),
    root: attempt(() => fs.writeFileSync('/app/x', '')),
    shell: ['/bin/sh', '/bin/bash', '/bin/busybox'].filter((path) => fs.existsSync(path)),
    token: fs.existsSync('/var/run/secrets/kubernetes.io/serviceaccount/token'),
    limitMib: process.constrainedMemory() / 2 ** 20,
    capabilities: /CapEff:\\s+(\\w+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1],
  }))`

/** The pods run at the Pod Security level `restricted`, and have what they need and no more. */
export async function checkSecurity(
  { check }: Checks,
  world: World,
  { namespace, release, untilReady }: Agent,
): Promise<void> {
  const { kubectl, programs, adminKubeconfig } = world
  await check(
    'the agent’s namespace refuses what is not restricted, and runs the agent',
    async () => {
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'refused', namespace },
        spec: {
          containers: [
            { name: 'refused', image: 'none', securityContext: { ...restrictedContainer } },
          ],
        },
      }
      const { code, stderr } = await execute(
        programs.kubectl,
        ['--kubeconfig', adminKubeconfig, 'create', '-f', '-'],
        { input: JSON.stringify(pod) },
      )
      assert.notEqual(code, 0)
      assert.match(stderr, /violates PodSecurity "restricted:latest"/)
      await untilReady()
    },
  )
  await check(
    'containers: user 1000, no capability, read-only root, no shell, the chart’s memory limit',
    async () => {
      const inside = async (container: string) => {
        const where = ['-n', namespace, `deployment/${release}`, '-c', container]
        return JSON.parse(await kubectl(['exec', ...where, '--', 'node', '-e', probe])) as object
      }
      const { nats: _hasNoNode, ...limits } = limitsMib.agent
      for (const [container, limitMib] of Object.entries(limits)) {
        assert.deepEqual(await inside(container), {
          uid: 1_000,
          root: 'EROFS',
          shell: [],
          token: container !== 'console',
          limitMib,
          capabilities: '0000000000000000',
        })
      }
    },
  )
}
