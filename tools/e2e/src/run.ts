import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

import { type Agent, prepareAgent } from './agent.ts'
import { checkConsole } from './check-console.ts'
import { checkHelm } from './check-helm.ts'
import { checkKubectl } from './check-kubectl.ts'
import { checkLoad, checkRollingUpgrade, checkTwoPods, edgeLoad, fullLoad } from './check-load.ts'
import { checkNetworkPolicy } from './check-network-policy.ts'
import { checkControlPlaneRecovery, checkEdge, checkRecovery } from './check-recovery.ts'
import { checkRights } from './check-rights.ts'
import { checkSecurity } from './check-security.ts'
import { checkSidecars } from './check-sidecars.ts'
import { checkKeptState, checkRollback, checkUninstall, inventory } from './check-uninstall.ts'
import { type Checks, createChecks } from './checks.ts'
import {
  controlPlanePod,
  installControlPlane,
  prepareControlPlane,
  readAuthority,
  removeSeed,
} from './control-plane.ts'
import { startDns } from './dns.ts'
import { explain } from './explain.ts'
import { agentNames, names } from './names.ts'
import { namesOf } from './pods.ts'
import { measure, reportResources } from './resources.ts'
import { openTunnel } from './tunnel.ts'
import { startWorld } from './world.ts'

const idleMs = 30_000

/**
 * Brings the node up and makes every check on it. Agents that have nothing to do with each other are checked side by
 * side; the one that is measured has nothing to do meanwhile.
 */
export async function runEverything(
  dir: string,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Checks> {
  await using scope = new AsyncDisposableStack()
  const before = { controlPlane: new Set<string>(), agents: new Set<string>() }
  const world = await startWorld(dir, scope, { progress: say, signal }, async (node) => {
    await removeSeed(node)
    await startDns(node, scope)
    await prepareControlPlane(node)
    before.controlPlane = await inventory(node)
  })
  const checks = createChecks(say, () => explain(world), signal)
  const { check } = checks
  for (const { name, packedBytes, unpackedBytes, digest } of Object.values(world.images)) {
    say(`${name} ${digest}: ${mib(packedBytes)} packed, ${mib(unpackedBytes)} on disk`)
  }
  const install = 'helm install of the control plane: it becomes ready'
  if (!(await check(install, () => installControlPlane(world)))) return checks

  const authority = await readAuthority(world)
  const prepare = (name: keyof typeof agentNames) =>
    prepareAgent(world, agentNames[name], authority)
  const agents = await Promise.all([
    prepare('used'),
    prepare('changed'),
    prepare('loaded'),
    prepare('edge'),
  ])
  const [used, changed, loaded, edge] = agents
  before.agents = await inventory(world)
  const areInstalled = await check(
    'helm install of four agents, one of them as profile edge: they become ready',
    async () => {
      await Promise.all(agents.map((agent) => agent.install()))
    },
  )
  if (!areInstalled) return checks
  const openTo = async ({ cluster }: Agent) => scope.use(await openTunnel(world, cluster))
  const [toUsed, toChanged, toLoaded, toEdge] = await Promise.all([
    openTo(used),
    openTo(changed),
    openTo(loaded),
    openTo(edge),
  ])
  const test = ({ release, namespace }: { release: string; namespace: string }) =>
    check(`helm test of ${release}`, async () => {
      await world.helm(['test', release, '-n', namespace, '--timeout', '60s'])
    })

  const firstSteps = async (): Promise<void> => {
    await checkSecurity(checks, world, used)
    if (!(await checkKubectl(checks, world, toUsed))) return
    await checkConsole(checks, used, toUsed)
    await checkHelm(checks, world, toUsed)
    await checkRights(checks, world, used)
    await checkNetworkPolicy(checks, world, used, toUsed)
    await checkRecovery(checks, world, used, toUsed)
    await checkTwoPods(checks, used, toUsed)
  }
  const changes = async (): Promise<void> => {
    await checkSidecars(checks, world, changed, toChanged)
    await checkRollback(checks, changed, toChanged)
  }
  const rest = async () => {
    await test(loaded)
    await check('profile edge: one container, and kubectl works', async () => {
      const [pod] = await edge.untilReady()
      assert.deepEqual(namesOf(pod), ['edge'])
      assert.equal((await toEdge.fetch('proxy/version')).status, 200)
    })
    const pods = [...(await loaded.untilReady()), ...(await edge.untilReady())]
    const measured = await measure(pods, () => delay(idleMs, undefined, { signal }))
    await checkEdge(checks, world, edge, toEdge)
    return measured
  }
  const [{ taken: idle }] = await allOf([rest(), firstSteps(), changes(), test(names.controlPlane)])
  const { taken: idleControlPlane } = await measure([await controlPlanePod(world)], () =>
    checkKeptState(checks, world, changed),
  )
  await checkRollingUpgrade(checks, used, toUsed)
  const ofEdge = await checkLoad(checks, world, edge, toEdge, edgeLoad)
  const ofPod = await checkLoad(checks, world, loaded, toLoaded, fullLoad)
  await reportResources(
    new Map([...idle, ...idleControlPlane]),
    new Map([...ofEdge, ...ofPod]),
    say,
  )
  // Takes its time, and nobody needs it any more.
  await world.kubectl(['delete', 'namespace', names.shop, '--wait=false'])
  await checkControlPlaneRecovery(checks, world, loaded, toLoaded)
  await checkUninstall(checks, world, [used, loaded, edge], before)
  return checks
}

/** Waits for all of them, also where one fails: none may go on alone. */
async function allOf<T extends Promise<unknown>[]>(tasks: [...T]) {
  await Promise.allSettled(tasks)
  return Promise.all(tasks)
}

function mib(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`
}
