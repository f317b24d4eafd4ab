import { access } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

import { run } from './script.testing.ts'

const requirements = join(import.meta.dirname, '../shellcheck.txt')
const cached = join(homedir(), '.cache/pipeops-agent/shellcheck-0.11.0.1')

/** shellcheck on PATH, or the one that pip installs once into the cache; undefined where neither is to be had. */
export async function findShellcheck(): Promise<string | undefined> {
  const env = { PATH: process.env['PATH'] ?? '', HOME: homedir() }
  const onPath = await run('/bin/sh', ['-c', 'command -v shellcheck'], { env })
  if (onPath.code === 0) return onPath.stdout.trim()
  const program = join(cached, 'bin/shellcheck')
  if (await exists(program)) return program
  const install = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--require-hashes']
  // Everything pip needs to find its registry is in the environment of whoever runs the tests.
  const installed = await run('python3', [...install, '--target', cached, '-r', requirements], {
    env: { ...(process.env as Record<string, string>) },
  }).catch(() => undefined)
  return installed?.code === 0 && (await exists(program)) ? program : undefined
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
