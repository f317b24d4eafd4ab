import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { openDoorOf } from '@agent/e2e'
import type { Progress } from '@agent/toolbox'

import { type Engine, openEngine } from './engine.ts'
import { loadImages, prepareDockerfiles } from './images.ts'
import { copyKubeconfig } from './kubeconfig.ts'
import { createProject, type Project, type Settings } from './project.ts'

const user = ['--user', 'demo-admin', '--group', 'pipeops:admins']

/** What somebody asks for. */
export type Wanted = {
  project: string
  /** Kubeconfigs and settings go here; nobody else may look. */
  dir: string
  port: number
  busPort?: number
  proxies: number
  kubeconfig: { file: string; context: string | undefined } | undefined
  /** Variables that name the images, from prepareImages. */
  images: Record<string, string>
}

/** A project that is up, and the way in. */
export type Up = { project: Project; cluster: string; kubeconfig: string }

/** Starts everything, or what is not there yet, and waits until requests flow. */
export async function bringUp(
  wanted: Wanted,
  engine: Engine,
  { progress, signal }: { progress: Progress; signal: AbortSignal },
): Promise<Up> {
  const { dir, kubeconfig: given } = wanted
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const copy = join(dir, 'agent.kubeconfig')
  const isLocal = given !== undefined && (await copyKubeconfig(given, copy, progress)).isLocal
  const cluster = given === undefined ? 'demo' : 'my-cluster'
  const settings: Settings = {
    engine: engine.name,
    project: wanted.project,
    isDemo: given === undefined,
    isOnHostNetwork: isLocal,
    env: {
      ...wanted.images,
      CONTROL_PLANE_PORT: String(wanted.port),
      CLUSTER_NAME: cluster,
      PROXIES: String(wanted.proxies),
      ...(wanted.busPort === undefined ? {} : { BUS_PORT: String(wanted.busPort) }),
      ...(given === undefined ? {} : { AGENT_KUBECONFIG: copy }),
    },
  }
  await endOther(dir, engine, settings, progress)
  await writeSettings(dir, settings)
  const project = createProject(engine, settings)
  progress('starting containers …')
  await project.up(signal)
  await project.untilReady({ progress, signal })
  const kubeconfig = join(dir, 'kubeconfig')
  await keepKubeconfig(project, kubeconfig, cluster)
  return { project, cluster, kubeconfig }
}

/** podman gets what is built here; Docker builds for itself, from the Dockerfiles. */
export async function prepareImages(
  engine: Engine,
  progress: Progress,
): Promise<Record<string, string>> {
  if (engine.name === 'podman') return loadImages(engine, progress)
  await prepareDockerfiles(progress)
  return {}
}

/** Another kind of cluster, or another number of proxies, leaves containers that nobody wants any more. */
async function endOther(dir: string, engine: Engine, settings: Settings, progress: Progress) {
  const before = await readSettings(dir)
  if (before === undefined || shapeOf(before) === shapeOf(settings)) return
  progress('stopping what runs with other settings …')
  const other = before.engine === engine.name ? engine : await openEngine(before.engine, progress)
  await createProject(other, before).down({ keep: true })
}

function shapeOf({ engine, isDemo, isOnHostNetwork, env }: Settings): string {
  return JSON.stringify([engine, isDemo, isOnHostNetwork, env['PROXIES']])
}

/** A kubeconfig that still opens stays, because each new one is a new token. */
async function keepKubeconfig({ ctl }: Project, file: string, cluster: string): Promise<void> {
  try {
    using door = await openDoorOf(file)
    if ((await door.fetch('proxy/version', 5_000)).status === 200) return
  } catch {
    // None yet, or of another control plane.
  }
  const text = await ctl('kubeconfig', '--cluster', cluster, ...user)
  // Agents know the control plane by another name than this machine does.
  await writeFile(file, text.replace('//control-plane:', '//localhost:'), { mode: 0o600 })
}

/** The settings that the last `up` in this folder wrote. */
export async function readSettings(dir: string): Promise<Settings | undefined> {
  const text = await readFile(join(dir, 'settings.json'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as Settings)
}

async function writeSettings(dir: string, settings: Settings): Promise<void> {
  await writeFile(join(dir, 'settings.json'), JSON.stringify(settings), { mode: 0o600 })
}

/** Ends what `up` in this folder started; false where there is nothing. */
export async function bringDown(
  dir: string,
  engine: Engine,
  options: { keep: boolean },
): Promise<boolean> {
  const settings = await readSettings(dir)
  if (settings === undefined) return false
  await createProject(engine, settings).down(options)
  if (!options.keep) await rm(dir, { recursive: true, force: true })
  return true
}
