import { chown, rm, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'

import { execute, mustExecute } from '@agent/e2e'
import { type Progress, resolveTool } from '@agent/toolbox'

const user = 1_000

type Kubeconfig = {
  clusters: { cluster: { server: string } }[]
  users: { user: { exec?: { command: string } } }[]
}

/**
 * Copies one context of a person's kubeconfig for the agent, with everything in the file, into a folder that is closed
 * to others. Tells whether the cluster is on this machine.
 */
export async function copyKubeconfig(
  given: { file: string; context: string | undefined },
  target: string,
  progress: Progress,
): Promise<{ isLocal: boolean }> {
  const kubectl = await findKubectl(progress)
  const context = given.context === undefined ? [] : ['--context', given.context]
  const view = ['config', 'view', '--raw', '--flatten', '--minify', '--output', 'json']
  const text = await mustExecute(kubectl, ['--kubeconfig', given.file, ...context, ...view])
  const config = JSON.parse(text) as Kubeconfig
  const [server, exec] = [config.clusters[0]?.cluster.server, config.users[0]?.user.exec]
  if (server === undefined) throw new Error(`--kubeconfig: ${given.file} names no cluster`)
  if (exec !== undefined) {
    throw new Error(
      `--kubeconfig: ${given.file} logs in with ${exec.command}, which the container does not have: give one with the token of a ServiceAccount (kubectl create token)`,
    )
  }
  const isRoot = process.getuid?.() === 0
  // Whoever is not root can give it to nobody; the folder it is in is closed to others.
  await rm(target, { force: true })
  await writeFile(target, text, { mode: isRoot ? 0o400 : 0o444 })
  if (isRoot) await chown(target, user, user)
  return { isLocal: isLoopback(new URL(server).hostname) }
}

/** Any will do to read a file; one is built only where there is none. */
export async function findKubectl(progress: Progress): Promise<string> {
  const { code } = await execute('kubectl', ['version', '--client']).catch(() => ({ code: 1 }))
  return code === 0 ? 'kubectl' : resolveTool('kubectl', { progress })
}

function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '')
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'))
}
