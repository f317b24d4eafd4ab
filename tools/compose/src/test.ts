import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { freePorts, startEmbeddedCluster } from '@agent/cluster'
import { type Checks, createChecks, finish } from '@agent/e2e'
import { cacheDir, takeOwnerLock, untilStopped } from '@agent/toolbox'

import { checkDemo } from './check-demo.ts'
import { checkKubeconfig } from './check-kubeconfig.ts'
import { checkRecovery } from './check-recovery.ts'
import { checkSecrets } from './check-secrets.ts'
import { checkSecurity } from './check-security.ts'
import { type Engine, type EngineName, openEngine, whyNoEngine } from './engine.ts'
import { tails } from './project.ts'
import { bringDown, bringUp, prepareImages, type Up, type Wanted } from './up.ts'

const project = 'pipeops-agent-test'
const upAgainSeconds = 10

/** Starts docker-compose.yml and checks what it promises, with the demo cluster and with a given one; returns the exit code. */
export async function runTest(
  { outputFile }: { outputFile: string | undefined },
  engineName: EngineName | undefined,
): Promise<number> {
  const skipped = whyNoChecks() ?? (await whyNoEngine())
  if (skipped !== undefined) return finish({ passed: 0, failed: 0, skipped }, outputFile)
  let code = 1
  const stopped = await untilStopped(
    async (signal) => {
      await using scope = new AsyncDisposableStack()
      await takeLock(scope)
      const base = await mkdtemp(join(tmpdir(), 'pipeops-compose-'))
      scope.defer(() => rm(base, { recursive: true, force: true }))
      const dir = join(base, 'up')
      const engine = await openEngine(engineName, say)
      scope.defer(async () => {
        await bringDown(dir, engine, { keep: false })
      })
      const { passed, failed } = await runChecks({ base, dir }, engine, signal)
      code = await finish({ passed, failed }, outputFile)
    },
    { progress: say },
  )
  return stopped === 0 ? code : stopped
}

async function runChecks(
  { base, dir }: { base: string; dir: string },
  engine: Engine,
  signal: AbortSignal,
): Promise<Checks> {
  let running: Up | undefined
  const explain = async (): Promise<string> =>
    running === undefined ? '' : tails(engine, await running.project.containers())
  const checks = createChecks(say, explain, signal)
  const { check } = checks
  const [port, busPort] = (await freePorts(2)) as [number, number]
  const images = await prepareImages(engine, say)
  const common = { project, dir, port, busPort, images }
  const wanted: Wanted = { ...common, proxies: 1, kubeconfig: undefined }

  const isUp = await check('up: every container becomes ready', async () => {
    running = await bringUp(wanted, engine, { progress: say, signal })
  })
  if (!isUp || running === undefined) return checks
  const { project: demo } = running
  await check('up again starts nothing anew and is done at once', async () => {
    const since = async () => (await demo.containers()).map(({ Id, State }) => Id + State.StartedAt)
    const before = await since()
    const startedAt = performance.now()
    await bringUp(wanted, engine, { progress: () => {}, signal })
    const seconds = (performance.now() - startedAt) / 1_000
    if (String(await since()) !== String(before)) throw new Error('other containers')
    if (seconds > upAgainSeconds) throw new Error(`${seconds} s`)
  })
  await checkDemo(checks, running)
  await checkSecurity(checks, running)
  await checkRecovery(checks, running)
  await checkSecrets(checks, running)
  await using scope = new AsyncDisposableStack()
  const [{ adminKubeconfig }] = await Promise.all([
    startEmbeddedCluster({ dir: join(base, 'cluster'), signal }).then((it) => scope.use(it)),
    checkDown('down leaves nothing behind'),
  ])
  const given = { file: adminKubeconfig, context: undefined }
  const isUpAgain = await check(
    'up with a kubeconfig of this machine: every container becomes ready',
    async () => {
      running = await bringUp({ ...common, proxies: 2, kubeconfig: given }, engine, {
        progress: say,
        signal,
      })
    },
  )
  if (isUpAgain) await checkKubeconfig(checks, running)
  await checkDown('down leaves nothing behind here either')
  return checks

  function checkDown(name: string): Promise<boolean> {
    return check(name, async () => {
      running = undefined
      if (!(await bringDown(dir, engine, { keep: false }))) throw new Error('there was nothing')
    })
  }
}

/** What runs in containers is killed and looked into from outside. */
function whyNoChecks(): string | undefined {
  const isAble = process.platform === 'linux' && process.getuid?.() === 0
  return isAble ? undefined : 'the test of docker-compose.yml needs Linux and root'
}

async function takeLock(scope: AsyncDisposableStack): Promise<void> {
  const lock = await takeOwnerLock(join(cacheDir(), 'compose-test.pid'))
  if (!lock.isOurs) throw new Error(`process ${lock.owner} runs this test already`)
  scope.defer(() => lock.release())
}

const startedAt = performance.now()

/** One line, or several, with the seconds since the start. */
function say(text: string): void {
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0).padStart(4)
  process.stdout.write(`${seconds} s  ${text.replaceAll('\n', '\n        ')}\n`)
}
