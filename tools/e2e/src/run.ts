import { type Checks, createChecks } from './checks.ts'
import { explain } from './explain.ts'
import { installAgent, installControlPlane, removeSeed, untilAgentReady } from './install.ts'
import { startWorld } from './world.ts'

/** Brings the node up and makes every check on it, in order. */
export async function runEverything(dir: string, say: (line: string) => void): Promise<Checks> {
  await using scope = new AsyncDisposableStack()
  const world = await startWorld(dir, scope, say)
  const checks = createChecks(say, () => explain(world))
  const { check } = checks
  await removeSeed(world)
  const isInstalled =
    (await check('helm install of the control plane: it becomes ready', () =>
      installControlPlane(world),
    )) &&
    (await check('helm install of the agent: it becomes ready', async () => {
      await installAgent(world)
      await untilAgentReady(world)
    }))
  if (!isInstalled) return checks
  return checks
}
