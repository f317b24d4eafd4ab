import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { cacheDir, findProgram, withLock } from '@agent/toolbox'

const run = promisify(execFile)
const installMs = 120_000
const say = (line: string): void => void process.stderr.write(`${line}\n`)

const unable = whyUnable()

function whyUnable(): string | undefined {
  if (process.getuid?.() !== 0) return 'root is needed'
  return existsSync('/usr/bin/apt-get') ? undefined : 'Debian’s apt is needed'
}

/** Says that `what` is not tested, and why; in CI all is, so that what cannot run there fails. */
export function isSkipped(what: string): boolean {
  if (unable === undefined || process.env['CI'] !== undefined) return false
  console.warn(`${what} not tested: ${unable}`)
  return true
}

/** A program of this machine; Debian's package is installed where it is missing and we may. */
export async function ensureProgram(program: string, debianPackage: string): Promise<string> {
  const found = await findProgram(program)
  if (found !== undefined) return found
  if (unable !== undefined) throw new Error(`${program} is not on PATH: install ${debianPackage}`)
  await withLock(join(cacheDir(), 'apt-get.lock'), { progress: say }, async () => {
    const options = {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      timeout: installMs,
    }
    say(`installing ${debianPackage} …`)
    await run('apt-get', ['update'], options)
    // Rather fail than take a program away from the machine.
    const wait = ['-o', 'DPkg::Lock::Timeout=60']
    const flags = ['install', '-y', '--no-remove', '--no-install-recommends']
    await run('apt-get', [...wait, ...flags, debianPackage], options)
  })
  const installed = await findProgram(program)
  if (installed === undefined) throw new Error(`${debianPackage} has no ${program}`)
  return installed
}
