import { checkConsole } from './check-console.ts'
import { checkHelm } from './check-helm.ts'
import { checkKubectl } from './check-kubectl.ts'
import { checkLoad } from './check-load.ts'
import { checkRecovery } from './check-recovery.ts'
import { checkRights } from './check-rights.ts'
import { checkSecurity } from './check-security.ts'
import { checkSidecars } from './check-sidecars.ts'
import { checkUninstall, inventory } from './check-uninstall.ts'
import { type Checks, createChecks } from './checks.ts'
import { startDns } from './dns.ts'
import { explain } from './explain.ts'
import {
  installAgent,
  installControlPlane,
  names,
  prepareAgent,
  prepareControlPlane,
  removeSeed,
  untilAgentReady,
  upgradeAgent,
} from './install.ts'
import { readMemory } from './memory.ts'
import { openTunnel } from './tunnel.ts'
import { startWorld } from './world.ts'

/** Brings the node up and makes every check on it, in order: those in the middle need what the first ones installed. */
export async function runEverything(
  dir: string,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Checks> {
  await using scope = new AsyncDisposableStack()
  const world = await startWorld(dir, scope, say, signal)
  const checks = createChecks(say, () => explain(world), signal)
  const { check } = checks
  for (const { name, packedBytes, unpackedBytes, digest } of Object.values(world.images)) {
    say(`${name} ${digest}: ${mib(packedBytes)} packed, ${mib(unpackedBytes)} on disk`)
  }
  await removeSeed(world)
  await startDns(world, scope)
  await prepareControlPlane(world)
  const beforeControlPlane = await inventory(world)
  const install = 'helm install of the control plane: it becomes ready'
  if (!(await check(install, () => installControlPlane(world)))) return checks
  await prepareAgent(world)
  const beforeAgent = await inventory(world)
  const isInstalled = await check('helm install of the agent: it becomes ready', async () => {
    await installAgent(world)
    await untilAgentReady(world)
  })
  if (!isInstalled) return checks
  using tunnel = await openTunnel(world)

  for (const { release, namespace } of [names.controlPlane, names.agent]) {
    await check(`helm test of ${release}`, async () => {
      await world.helm(['test', release, '-n', namespace, '--timeout', '60s'])
    })
  }
  await checkSecurity(checks, world)
  if (!(await checkKubectl(checks, world, tunnel))) return checks
  await checkConsole(checks, tunnel)
  await checkHelm(checks, world, tunnel)
  await check('memory, at rest again', async () => {
    const namespaces = [names.agent.namespace, names.controlPlane.namespace]
    return `working set (anonymous) in MiB: ${(await readMemory(world, namespaces)).join(', ')}`
  })
  await checkRights(checks, world)
  await checkSidecars(checks, world, tunnel)
  await upgradeAgent(world, {})
  await checkRecovery(checks, world, tunnel)
  await checkLoad(checks, world, tunnel)
  await checkUninstall(checks, world, tunnel, {
    agent: beforeAgent,
    controlPlane: beforeControlPlane,
  })
  return checks
}

function mib(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`
}
