import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { type CommandOptions, execute, mustExecute, type Outcome } from './command.ts'
import { ctl } from './control-plane.ts'
import { type Door, type Kubeconfig, openDoor } from './door.ts'
import { names } from './names.ts'
import type { World } from './world.ts'

/** Under load and during upgrades an answer may take a while. */
const fetchMs = 30_000

/** A person's way in: a kubeconfig from the control plane, and nothing of the cluster's own. */
export type Tunnel = Door & {
  /** kubectl; rejects when it fails. */
  kubectl(args: string[], options?: CommandOptions): Promise<string>
  /** kubectl, with its exit code. */
  tryKubectl(args: string[], options?: CommandOptions): Promise<Outcome>
  /** The file. */
  kubeconfig: string
}

/** Makes a token for the user and writes the kubeconfig of a cluster that the control plane hands out. */
export async function openTunnel(world: World, name: string): Promise<Tunnel> {
  const config = await ctl<Kubeconfig>(
    world,
    ...['kubeconfig', '--cluster', name, '--user', names.user, '--group', names.group],
  )
  const kubeconfig = join(world.dir, `${name}.kubeconfig`)
  await writeFile(kubeconfig, JSON.stringify(config), { mode: 0o600 })
  const withConfig = (args: string[]): string[] => ['--kubeconfig', kubeconfig, ...args]
  const env = { HOME: world.dir }
  return {
    ...openDoor(config, fetchMs),
    kubeconfig,
    kubectl: (args, options) =>
      mustExecute(world.programs.kubectl, withConfig(args), { env, ...options }),
    tryKubectl: (args, options) =>
      execute(world.programs.kubectl, withConfig(args), { env, ...options }),
  }
}

/** Hex SHA-256. */
export function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}
