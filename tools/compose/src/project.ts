import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { root } from '@agent/bundle'
import { type CommandOptions, execute, mustExecute } from '@agent/e2e'
import type { Progress } from '@agent/toolbox'

import type { Engine, EngineName } from './engine.ts'

const readyMs = 120_000
const pollMs = 300
const composeMs = 600_000
const podmanSeconds = 120
const label = 'com.docker.compose.project'
const files = {
  whole: join(root, 'docker-compose.yml'),
  hostNetwork: join(root, 'deploy/compose/host-network.yml'),
}

/** What a project was started with; the same is needed to stop it. */
export type Settings = {
  engine: EngineName
  project: string
  /** Also takes what the compose file asks of the environment. */
  env: Record<string, string>
  isDemo: boolean
  isOnHostNetwork: boolean
}

/** What `inspect` tells of a container, as far as somebody here asks. */
export type Container = {
  Id: string
  Name: string
  Config: {
    Labels: Record<string, string>
    User: string
    Env: string[]
    Healthcheck?: { Test: string[] }
  }
  State: { Running: boolean; Pid: number; StartedAt: string }
  HostConfig: {
    Memory: number
    ReadonlyRootfs: boolean
    CapAdd: string[] | null
    CapDrop: string[] | null
    SecurityOpt: string[] | null
    Privileged: boolean
  }
  EffectiveCaps?: string[] | null
}

/** For whom we wait, and how long. */
export type Waiting = { progress?: Progress; timeoutMs?: number; signal?: AbortSignal | undefined }

/** One running docker-compose.yml. */
export type Project = {
  settings: Settings
  engine: Engine
  /** The engine's own commands. */
  run(args: string[], options?: CommandOptions): Promise<string>
  /** Words and environment of a compose command. */
  command(args: string[]): { words: string[]; env: Record<string, string> }
  compose(args: string[], signal?: AbortSignal): Promise<void>
  up(signal?: AbortSignal): Promise<void>
  containers(): Promise<Container[]>
  container(service: string): Promise<Container>
  /** The control plane's command line. */
  ctl(...args: string[]): Promise<string>
  /** Resolves when all containers run and their health checks say so; rejects naming those that do not. */
  untilReady(options?: Waiting): Promise<void>
  /** Removes everything of the project, its volumes too unless they are kept; throws where something is left. */
  down(options?: { keep?: boolean }): Promise<void>
}

/** The service that a container is of. */
export function serviceOf({ Config }: Container): string {
  return Config.Labels['com.docker.compose.service'] ?? ''
}

/** Knows a project by its settings; starts nothing. */
export function createProject(engine: Engine, settings: Settings): Project {
  const env = { ...engine.env, ...settings.env }
  const { project } = settings
  const ofProject = ['--filter', `label=${label}=${project}`]
  const run: Project['run'] = (args, options) =>
    mustExecute(engine.program, args, { ...options, env })

  function command(args: string[]) {
    const chosen = settings.isOnHostNetwork ? Object.values(files) : [files.whole]
    const profiles = settings.isDemo ? ['--profile', 'demo'] : []
    const options = [...chosen.flatMap((file) => ['-f', file]), '-p', project, ...profiles]
    return { words: [...engine.compose, ...options, ...args], env }
  }

  const self: Project = {
    settings,
    engine,
    run,
    command,
    async compose(args, signal) {
      const [program = '', ...words] = [...limitOf(engine), ...command(args).words]
      await mustExecute(program, words, { env, timeoutMs: composeMs, ...(signal && { signal }) })
    },
    async up(signal) {
      const images = engine.name === 'podman' ? ['--no-build'] : ['--build', '--remove-orphans']
      await self.compose(['up', '-d', ...images], signal)
    },
    async containers() {
      const ids = await run(['ps', '--all', '--quiet', ...ofProject])
      const words = ids.split('\n').filter(Boolean)
      if (words.length === 0) return []
      return JSON.parse(await run(['inspect', ...words])) as Container[]
    },
    async container(service) {
      const found = (await self.containers()).find((each) => serviceOf(each) === service)
      if (found === undefined) throw new Error(`there is no container of ${service}`)
      return found
    },
    async ctl(...args) {
      const { Id } = await self.container('control-plane')
      return run(['exec', Id, 'node', '/app/ctl.mjs', ...args])
    },
    async untilReady({ progress = () => {}, timeoutMs = readyMs, signal } = {}) {
      const deadline = performance.now() + timeoutMs
      for (let said = ''; ; await delay(pollMs)) {
        signal?.throwIfAborted()
        const waiting = await findWaiting(engine, await self.containers())
        if (waiting.length === 0) return
        const names = waiting.map(serviceOf).toSorted().join(', ')
        if (performance.now() > deadline) {
          throw new Error(`not ready: ${names}\n${await tails(engine, waiting)}`)
        }
        if (names !== said) progress(`waiting for ${names} …`)
        said = names
      }
    },
    async down({ keep = false } = {}) {
      await self.compose(['down', ...(keep ? [] : ['--volumes'])])
      const left = [
        ...(await list(['ps', '--all', '--format', '{{.Names}}'])),
        ...(await list(['network', 'ls', '--format', '{{.Name}}'])),
        ...(keep ? [] : await list(['volume', 'ls', '--format', '{{.Name}}'])),
      ]
      if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`)
    },
  }

  /** By name, because something made without a label would be found by no label. */
  async function list(args: string[]): Promise<string[]> {
    const names = (await run(args)).split('\n')
    return names.filter((name) => name.startsWith(`${project}_`) || name.startsWith(`${project}-`))
  }
  return self
}

/**
 * podman-compose waits without an end for a container that could not be started: it is ended with all that it started.
 * Its images are there already. macOS has no such command.
 */
function limitOf({ name }: Engine): string[] {
  const isNeeded = name === 'podman' && process.platform === 'linux'
  return isNeeded ? ['timeout', '--kill-after=5', String(podmanSeconds)] : []
}

async function findWaiting(engine: Engine, containers: Container[]): Promise<Container[]> {
  const isReady = await Promise.all(
    containers.map(async ({ Id, State, Config }) => {
      if (!State.Running) return false
      return Config.Healthcheck === undefined || engine.isHealthy(Id)
    }),
  )
  return containers.filter((_, index) => isReady[index] !== true)
}

/** The last lines of each container's log. */
export async function tails({ program, env }: Engine, containers: Container[]): Promise<string> {
  const texts = containers.map(async (container) => {
    const args = ['logs', '--tail', '4', container.Id]
    const { stdout, stderr } = await execute(program, args, { env })
    return `${serviceOf(container)}:\n${stdout}${stderr}`
  })
  return (await Promise.all(texts)).join('')
}
