import { type ChildProcess, spawn } from 'node:child_process'

/** How a command went; stdout and stderr in `output`. */
export type Ran = { output: string; code: number | null; durationMs: number }

/** kubectl with one kubeconfig. */
export type Kubectl = {
  dir: string
  run(...args: string[]): Promise<Ran>
  /** Starts a command that runs on; `output` grows. */
  start(...args: string[]): { child: ChildProcess; output(): string }
}

const deadlineMs = 30_000

/** Wraps a kubectl program; every command ends at a deadline. */
export function createKubectl(
  program: string,
  kubeconfig: string,
  dir: string,
  signal: AbortSignal,
): Kubectl {
  function start(...args: string[]) {
    const child = spawn(program, ['--kubeconfig', kubeconfig, ...args], {
      cwd: dir,
      env: { ...process.env, HOME: dir },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
      timeout: deadlineMs,
    })
    child.on('error', () => {})
    let output = ''
    const take = (chunk: Buffer): void => void (output += chunk.toString('utf8'))
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    return { child, output: () => output }
  }
  return {
    dir,
    start,
    async run(...args) {
      const startedAt = performance.now()
      const { child, output } = start(...args)
      const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
      return { output: output(), code, durationMs: performance.now() - startedAt }
    },
  }
}
