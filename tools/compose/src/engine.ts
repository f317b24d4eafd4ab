import { homedir } from 'node:os'

import { execute } from '@agent/e2e'
import type { Progress } from '@agent/toolbox'

import { openPodman, whyNoPodman } from './podman.ts'

/** What runs containers, and its compose program. */
export type Engine = {
  name: EngineName
  env: Record<string, string>
  program: string
  compose: string[]
  /** Whether the container's health check says so, now. */
  isHealthy(id: string): Promise<boolean>
}
export type EngineName = 'docker' | 'podman'

/** Opens the engine of that name; without one Docker where its compose and its daemon answer, else podman. */
export async function openEngine(
  name: EngineName | undefined,
  progress: Progress,
): Promise<Engine> {
  const docker = name === 'podman' ? undefined : await findDocker()
  if (docker !== undefined) return docker
  if (name === 'docker')
    throw new Error('--engine docker: `docker compose version` and `docker info` fail')
  const reason = await whyNoPodman()
  if (reason !== undefined) throw new Error(reason)
  return openPodman(progress)
}

/** Why nothing here can run docker-compose.yml; undefined where something can. */
export async function whyNoEngine(): Promise<string | undefined> {
  return (await findDocker()) === undefined ? whyNoPodman() : undefined
}

async function findDocker(): Promise<Engine | undefined> {
  const env = { ...pick('DOCKER_HOST', 'DOCKER_CONTEXT', 'DOCKER_CONFIG'), HOME: homedir() }
  for (const args of [['compose', 'version'], ['info']]) {
    const { code } = await execute('docker', args, { env }).catch(() => ({ code: 1 }))
    if (code !== 0) return undefined
  }
  return {
    name: 'docker',
    env,
    program: 'docker',
    compose: ['docker', 'compose'],
    async isHealthy(id) {
      const args = ['inspect', '--format', '{{.State.Health.Status}}', id]
      return (await execute('docker', args, { env })).stdout.trim() === 'healthy'
    },
  }
}

function pick(...names: string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}
