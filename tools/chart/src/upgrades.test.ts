import { execFile } from 'node:child_process'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { startEmbeddedCluster } from '@agent/cluster'
import { resolveTool } from '@agent/toolbox'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { type ChartName, charts } from './helm.ts'

const run = promisify(execFile)
const kinds = 'configmaps,secrets,persistentvolumeclaims'
const agent = ['--set', 'agent.cluster.name=prod,agent.pipeops.token=x']

const scope = new AsyncDisposableStack()
let helm: (...args: string[]) => Promise<string>
let kubectl: (...args: string[]) => Promise<string>
beforeAll(async () => {
  const dir = scope.use(await mkdtempDisposable(join(tmpdir(), 'chart-')))
  const cluster = scope.use(
    await startEmbeddedCluster({ dir: join(dir.path, 'cluster'), seed: false }),
  )
  const program = await resolveTool('helm')
  const env = { PATH: process.env['PATH'], HOME: dir.path, KUBECONFIG: cluster.adminKubeconfig }
  const start = async (file: string, args: string[]): Promise<string> =>
    (await run(file, args, { env, timeout: 30_000 })).stdout
  helm = (...args) => start(program, args)
  kubectl = (...args) => start(cluster.kubectl, args)
})
afterAll(() => scope.disposeAsync())

/** Installs or upgrades; answers with the notes. */
function apply(chart: ChartName, namespace: string, ...values: string[]): Promise<string> {
  const args = ['pipeops', charts[chart], '-n', namespace, '--create-namespace']
  return helm('upgrade', '--install', ...args, ...values)
}

async function kept(namespace: string): Promise<string[]> {
  const names = await kubectl('get', kinds, '-n', namespace, '-o', 'name')
  return names.split('\n').filter((name) => /-(state|secrets|data)$/.test(name))
}

test('the agent’s identity outlives whatever an upgrade turns off, and goes with the release', async () => {
  const secret = 'secret/pipeops-pipeops-agent-secrets'
  const identity = ['configmap/pipeops-pipeops-agent-state', secret]
  const notes = await apply('agent', 'one', ...agent)
  expect(notes).toContain('create token console-reader')
  await kubectl('patch', secret, '-n', 'one', '-p', '{"stringData":{"key":"material"}}')

  const off = 'link.enabled=false,proxy.enabled=false'
  expect(await apply('agent', 'one', ...agent, '--set', off)).toContain('NOBODY CAN SIGN IN')
  expect(await kept('one')).toStrictEqual(identity)
  await apply('agent', 'one', ...agent, '--set', 'agent.state.create=false')
  expect(await kept('one')).toStrictEqual(identity)
  const data = await kubectl('get', secret, '-n', 'one', '-o', 'jsonpath={.data.key}')
  expect(atob(data)).toBe('material')
  await helm('uninstall', 'pipeops', '-n', 'one')
  expect(await kept('one')).toStrictEqual([])
}, 60_000)

test('a release of the same name in another namespace is no hindrance', async () => {
  await apply('agent', 'two', ...agent)
  await apply('agent', 'three', ...agent)
  const roles = await kubectl(
    'get',
    'clusterroles',
    '-o',
    'name',
    '-l',
    'app.kubernetes.io/part-of',
  )
  for (const namespace of ['two', 'three']) expect(roles).toContain(`/${namespace}:pipeops-`)
}, 60_000)

test('the control plane’s claim outlives an upgrade without persistence', async () => {
  const claim = ['persistentvolumeclaim/pipeops-pipeops-control-plane-data']
  const notes = await apply('controlPlane', 'four')
  expect(notes).toContain('create secret generic pipeops-agent-token --from-file=token=FILE')
  await apply('controlPlane', 'four', '--set', 'persistence.enabled=false')
  expect(await kept('four')).toStrictEqual(claim)
  const states = ['get', 'persistentvolumeclaims', '-n', 'four', '-o']
  const ending = await kubectl(...states, 'jsonpath={.items[*].metadata.deletionTimestamp}')
  expect(ending).toBe('')
}, 60_000)
