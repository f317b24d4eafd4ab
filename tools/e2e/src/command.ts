import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'

/** What a program said and how it ended; 124 where it took too long. */
export type Outcome = { code: number; stdout: string; stderr: string; seconds: number }

export type CommandOptions = {
  input?: string | Uint8Array
  timeoutMs?: number
  env?: Record<string, string>
  signal?: AbortSignal
}

/** Runs a program to its end. */
export function execute(
  program: string,
  args: string[],
  { input, timeoutMs = 120_000, env = {}, signal }: CommandOptions = {},
): Promise<Outcome> {
  const startedAt = performance.now()
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      // kubectl keeps a cache at home, or, where there is none, wherever it stands.
      env: { PATH: process.env['PATH'], HOME: tmpdir(), ...env },
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      ...(signal && { signal }),
    })
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    child.once('error', reject)
    child.once('close', (code) => {
      resolve({
        code: code ?? 124,
        stdout: Buffer.concat(stdout).toString('utf8'),
        stderr: Buffer.concat(stderr).toString('utf8'),
        seconds: (performance.now() - startedAt) / 1_000,
      })
    })
    // A program that does not want its input closes it.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

/** Like execute; a failure is an error that says what was run and what it said. */
export async function mustExecute(
  program: string,
  args: string[],
  options: CommandOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await execute(program, args, options)
  if (code === 0) return stdout
  const name = program.slice(program.lastIndexOf('/') + 1)
  throw new Error(`${name} ${args.join(' ')}: exit ${code}\n${stderr}${stdout}`.trimEnd())
}
