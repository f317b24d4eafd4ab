import { execFile } from 'node:child_process'
import { arch, cpus, release, totalmem } from 'node:os'
import { promisify } from 'node:util'

import type { Programs } from './programs.ts'

const run = promisify(execFile)

/** What was measured, with what, on what: figures mean nothing without. */
export async function versions(programs: Programs): Promise<Record<string, string | number>> {
  const env = { ...process.env, ...programs.env }
  const first = async (program: string, ...args: string[]): Promise<string> => {
    const { stdout, stderr } = await run(program, args, { env }).catch(() => ({
      stdout: 'unknown',
      stderr: '',
    }))
    return (stdout.trim() || stderr.trim()).split('\n')[0] as string
  }
  const [cpu] = cpus()
  return {
    commit: await first('git', 'rev-parse', 'HEAD'),
    uncommitted: (await first('git', 'status', '--porcelain')) === '' ? 'no' : 'yes',
    node: process.version,
    go: (await first('go', 'version')).replace('go version ', ''),
    nginx: (await first(programs.nginx, '-v')).replace('nginx version: ', ''),
    openssh: await first(programs.ssh, '-V'),
    kernel: release(),
    arch: arch(),
    cpu: cpu?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
  }
}
