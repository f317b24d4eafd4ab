import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import type { RunOptions } from './run.ts'
import type { Sample } from './sample.ts'

/** Tells our own program that it was started inside the namespace. */
export const insideArgument = 'inside-namespace'

/** What the process inside is told; one JSON line on its stdin. */
export type InsideSpec = Pick<
  RunOptions,
  'dir' | 'programs' | 'rounds' | 'isQuick' | 'contenders' | 'profileDir'
> & {
  filesDir: string
  /** The generator's program. */
  generator: string
}

/** Why there can be no network namespace with a delay here; undefined where there can. */
export async function whyNoNamespace(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux'
  if (process.getuid?.() !== 0) return 'a network namespace with a delay needs root'
  const canTun = await access('/dev/net/tun', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  )
  return canTun ? undefined : 'there is no /dev/net/tun, which the delay is made with'
}

/** Runs the far workload in a network namespace of its own, which ends with its last process. */
export async function runInNamespace(
  spec: InsideSpec,
  { progress, signal }: Pick<RunOptions, 'progress' | 'signal'>,
  onSample: (sample: Sample) => void,
): Promise<void> {
  const program = join(import.meta.dirname, 'main.ts')
  const child = spawn('unshare', ['--net', process.execPath, program, insideArgument], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  child.stdin.on('error', () => {})
  // Its stdin stays open: it stops when this process stops or is gone.
  child.stdin.write(`${JSON.stringify(spec)}\n`)
  const stop = (): void => void child.stdin.end()
  signal.addEventListener('abort', stop, { once: true })
  for await (const line of createInterface({ input: child.stdout })) {
    onSample(JSON.parse(line) as Sample)
  }
  signal.removeEventListener('abort', stop)
  stop()
  const [code] = (await exited) as [number | null]
  signal.throwIfAborted()
  if (code !== 0) throw new Error('the measurement in the network namespace failed')
  progress('the network namespace is gone')
}
