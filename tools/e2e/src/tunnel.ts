import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { join } from 'node:path'

import { type CommandOptions, execute, mustExecute, type Outcome } from './command.ts'
import { ctl } from './control-plane.ts'
import { names } from './names.ts'
import type { World } from './world.ts'

/** A person's way in: a kubeconfig from the control plane, and nothing of the cluster's own. */
export type Tunnel = {
  kubeconfig: string
  /** The cluster's API. */
  url: URL
  ca: string
  token: string
  /** kubectl; rejects when it fails. */
  kubectl(args: string[], options?: CommandOptions): Promise<string>
  /** kubectl, with its exit code. */
  tryKubectl(args: string[], options?: CommandOptions): Promise<Outcome>
  /** One GET below the cluster's API; the path begins with a slash. */
  fetch(path: string, timeoutMs?: number): Promise<{ status: number; body: string }>
  [Symbol.dispose](): void
}

type Kubeconfig = {
  clusters: [{ cluster: { server: string; 'certificate-authority-data': string } }]
  users: [{ user: { token: string } }]
}

/** Makes a token for the user and writes the kubeconfig of a cluster that the control plane hands out. */
export async function openTunnel(world: World, name: string): Promise<Tunnel> {
  const config = await ctl<Kubeconfig>(
    world,
    ...['kubeconfig', '--cluster', name, '--user', names.user, '--group', names.group],
  )
  const { cluster } = config.clusters[0]
  const kubeconfig = join(world.dir, `${name}.kubeconfig`)
  await writeFile(kubeconfig, JSON.stringify(config), { mode: 0o600 })
  const { token } = config.users[0].user
  const ca = Buffer.from(cluster['certificate-authority-data'], 'base64').toString('utf8')
  const url = new URL(cluster.server)
  const agent = new Agent({ ca, keepAlive: true })
  const withConfig = (args: string[]): string[] => ['--kubeconfig', kubeconfig, ...args]
  const env = { HOME: world.dir }
  return {
    kubeconfig,
    url,
    ca,
    token,
    kubectl: (args, options) =>
      mustExecute(world.programs.kubectl, withConfig(args), { env, ...options }),
    tryKubectl: (args, options) =>
      execute(world.programs.kubectl, withConfig(args), { env, ...options }),
    fetch: (path, timeoutMs = 30_000) =>
      new Promise((resolve, reject) => {
        const signal = AbortSignal.timeout(timeoutMs)
        const headers = { authorization: `Bearer ${token}` }
        request(`${url.href}${path}`, { agent, headers, signal }, (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.once('error', reject)
          response.once('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              body: Buffer.concat(chunks).toString('utf8'),
            }),
          )
        })
          .once('error', reject)
          .end()
      }),
    [Symbol.dispose]: () => agent.destroy(),
  }
}

/** Hex SHA-256. */
export function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}
