import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

import { root } from '@agent/bundle'
import { takeOwnerLock, untilStopped } from '@agent/toolbox'

import { type EngineName, openEngine } from './engine.ts'
import { prepareDockerfiles } from './images.ts'
import { findKubectl } from './kubeconfig.ts'
import { createProject } from './project.ts'
import { runTest } from './test.ts'
import { bringDown, bringUp, prepareImages, readSettings, type Wanted } from './up.ts'

const usage = `npm run compose -- up [--kubeconfig FILE [--context NAME]] [--proxies N] [--port N]
npm run compose -- test [--output-file FILE]
npm run compose -- down [--keep]          --keep leaves the volumes
npm run compose -- logs -f link           and every other compose command: ps, stop, start, exec …
npm run compose -- bundle                 what the Dockerfiles copy
up and test take --engine docker or --engine podman before their name.`
const runDir = join(process.env['PIPEOPS_RUN_DIR'] ?? join(root, '.run'), 'compose')
const say = (line: string): void => void process.stderr.write(`${line}\n`)

/** Runs one command; returns the exit code. */
export async function runCommand(argv: string[]): Promise<number> {
  const engine = takeEngine(argv)
  const [name = '', ...args] = argv
  try {
    if (engine !== undefined && !isEngine(engine)) throw new Error('--engine: docker or podman')
    if (name === '' || name === '--help' || name === 'help') {
      say(usage)
      return name === '' ? 2 : 0
    }
    if (name === 'test') return await runTest(readTestFlags(args), engine)
    return await untilStopped((signal) => runOne(name, args, engine, signal), { progress: say })
  } catch (error) {
    say(`${(error as Error).message}\n\n${usage}`)
    return 2
  }
}

async function runOne(
  name: string,
  args: string[],
  engineName: EngineName | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (name === 'up') return alone(() => up(args, engineName, signal))
  if (name === 'down') return alone(() => down(args))
  if (name === 'bundle') return prepareDockerfiles(say)
  return pass([name, ...args])
}

/** One at a time: two would start and remove the same containers. */
async function alone(task: () => Promise<void>): Promise<void> {
  await mkdir(runDir, { recursive: true, mode: 0o700 })
  const lock = await takeOwnerLock(`${runDir}.pid`)
  if (!lock.isOurs) throw new Error(`process ${lock.owner} is at it already`)
  try {
    await task()
  } finally {
    await lock.release()
  }
}

async function up(
  args: string[],
  engineName: EngineName | undefined,
  signal: AbortSignal,
): Promise<void> {
  const flags = readUpFlags(args)
  const engine = await openEngine(engineName, say)
  const wanted = { ...flags, images: await prepareImages(engine, say) }
  const { cluster, kubeconfig } = await bringUp(wanted, engine, { progress: say, signal })
  const kubectl = await findKubectl(say)
  const origin = `https://localhost:${wanted.port}`
  say(`
The cluster "${cluster}" is reachable through the control plane at ${origin}:

  ${kubectl} --kubeconfig ${kubeconfig} get pods -A

The console: ${origin}/api/v1/clusters/agent/${cluster}/agent/dashboard (sign in with the token in that file)
Logs: npm run compose -- logs -f link. The end, and nothing is left: npm run compose -- down`)
}

async function down(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { keep: { type: 'boolean', default: false } } })
  const settings = await readSettings(runDir)
  if (settings === undefined) return say('nothing is up')
  say('stopping …')
  await bringDown(runDir, await openEngine(settings.engine, say), values)
  say(values.keep ? 'stopped; the volumes are kept' : 'stopped; nothing is left')
}

/** Any other command of compose's, with the project's settings and the terminal. */
async function pass(args: string[]): Promise<void> {
  const settings = await readSettings(runDir)
  if (settings === undefined) throw new Error('nothing is up: npm run compose -- up')
  const engine = await openEngine(settings.engine, say)
  const { words, env } = createProject(engine, settings).command(args)
  const [program = '', ...rest] = words
  const child = spawn(program, rest, { stdio: 'inherit', env: { ...process.env, ...env } })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${args[0]}: exit code ${code}`)
}

function readUpFlags(args: string[]): Omit<Wanted, 'images'> {
  const { values } = parseArgs({
    args,
    options: {
      kubeconfig: { type: 'string' },
      context: { type: 'string' },
      proxies: { type: 'string', default: '1' },
      port: { type: 'string', default: '8443' },
    },
  })
  const proxies = Number(values.proxies)
  if (!Number.isInteger(proxies) || proxies < 1 || proxies > 8) {
    throw new Error('--proxies: expected a number from 1 to 8')
  }
  const port = Number(values.port)
  if (!(port > 0 && port < 65_536)) throw new Error('--port: expected a port number')
  if (values.context !== undefined && values.kubeconfig === undefined) {
    throw new Error('--context: give the --kubeconfig that it is in')
  }
  const { kubeconfig: file, context } = values
  const kubeconfig = file === undefined ? undefined : { file: resolve(file), context }
  return { project: 'pipeops-agent', dir: runDir, port, proxies, kubeconfig }
}

function readTestFlags(args: string[]): { outputFile: string | undefined } {
  const { values } = parseArgs({ args, options: { 'output-file': { type: 'string' } } })
  return { outputFile: values['output-file'] }
}

/** Takes `--engine NAME` away from the front. */
function takeEngine(argv: string[]): string | undefined {
  return argv[0] === '--engine' ? argv.splice(0, 2)[1] : undefined
}

function isEngine(name: string): name is EngineName {
  return name === 'docker' || name === 'podman'
}
