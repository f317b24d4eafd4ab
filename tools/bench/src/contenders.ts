import { rm } from 'node:fs/promises'
import { join } from 'node:path'

import { freePorts } from '@agent/cluster'
import { paths } from '@agent/contracts'
import { startStack } from '@agent/stack'

import type { Origin } from './origin.ts'
import type { ProcessRef } from './processes.ts'
import type { Programs } from './programs.ts'
import type { ContenderName } from './sample.ts'
import { startSshTunnel } from './ssh.ts'

/** A way to the origin, as the generator takes it. */
export type Contender = AsyncDisposable & {
  name: ContenderName
  /** What every request of the generator needs. */
  target: Record<string, unknown>
  processes: ProcessRef[]
}

/** How the two ends see each other: loopback, or a link with a delay. */
export type Link = { host: string; peer: string; isFar: boolean }
export const loopback: Link = { host: '127.0.0.1', peer: '127.0.0.1', isFar: false }

export type ContenderOptions = {
  dir: string
  programs: Programs
  origin: Origin
  link: Link
  /** Where the product's processes write CPU profiles when they end. */
  profileDir?: string | undefined
  progress: (message: string) => void
}

/** One cipher for everybody: Node would choose the one with the longer key. */
const sameCipher = '--tls-cipher-list=TLS_AES_128_GCM_SHA256'

/** Sets one contender up. */
export function openContender(name: ContenderName, options: ContenderOptions): Promise<Contender> {
  const open = { direct: openDirect, ssh: openSsh, product: openProduct }[name]
  return open(options)
}

async function openDirect({ origin, link }: ContenderOptions): Promise<Contender> {
  return {
    name: 'direct',
    target: {
      url: `https://${link.isFar ? link.peer : origin.host}:${origin.port}`,
      ...trust(origin),
    },
    processes: [],
    async [Symbol.asyncDispose]() {},
  }
}

async function openSsh({ dir, programs, origin, link }: ContenderOptions): Promise<Contender> {
  const tunnel = await startSshTunnel({ dir, programs, origin, link })
  return {
    name: 'ssh',
    target: { url: `https://127.0.0.1:${tunnel.port}`, ...trust(origin) },
    processes: tunnel.processes,
    [Symbol.asyncDispose]: () => tunnel[Symbol.asyncDispose](),
  }
}

/** What a client that reaches the origin's own TLS needs. */
function trust({ caFile, credentials, isOurs }: Origin): Record<string, unknown> {
  return { caFile, ...credentials, anyCipher: !isOurs }
}

/** The whole product in processes of their own, with authentication, policy and audit as always. */
async function openProduct(options: ContenderOptions): Promise<Contender> {
  const { origin, link, progress } = options
  const dir = join(options.dir, 'stack')
  await rm(dir, { recursive: true, force: true })
  const [port] = (await freePorts(1)) as [number]
  const controlPlane = `https://${link.peer}:${port}`
  const profile =
    options.profileDir === undefined ? '' : `--cpu-prof --cpu-prof-dir=${options.profileDir}`
  const node = { NODE_OPTIONS: `${sameCipher} ${profile}`.trim() }
  const stack = await startStack({
    dir,
    progress,
    clusterName: 'bench',
    controlPlanePort: port,
    cluster: {
      url: `https://${origin.host}:${origin.port}`,
      caFile: origin.caFile,
      agentTokenFile: origin.agentTokenFile,
    },
    env: {
      'control-plane': {
        ...node,
        CONTROL_PLANE_HOST: link.host,
        CONTROL_PLANE_PUBLIC_URL: controlPlane,
      },
      link: { ...node, PIPEOPS_API_URL: controlPlane, PIPEOPS_STATE: 'file' },
      proxy: node,
    },
  })
  return {
    name: 'product',
    target: {
      url: `${stack.controlPlaneUrl}${paths.kubectlPrefix}${stack.clusterName}/proxy`,
      caFile: stack.caFile,
      token: stack.userToken,
    },
    processes: [...stack.processes.values()].map(({ name, pid }) => {
      if (pid === undefined) throw new Error(`${name} is not running`)
      return { name, pid, side: 'path' }
    }),
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  }
}
