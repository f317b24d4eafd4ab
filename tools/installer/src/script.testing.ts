import { spawn } from 'node:child_process'
import { join } from 'node:path'

export const repoDir = join(import.meta.dirname, '../../..')
export const scriptPath = join(repoDir, 'deploy/install.sh')

export type Run = { code: number | null; stdout: string; stderr: string }
export type RunOptions = { env?: Record<string, string>; input?: string; shell?: string[] }

/** Runs a program without a terminal, whoever runs the tests: a session of its own has none. */
export function run(program: string, args: string[], options: RunOptions = {}): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      detached: true,
      env: options.env ?? {},
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: 60_000,
    })
    const out = { stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out.stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (out.stderr += text))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, ...out }))
    child.stdin.on('error', () => {}) // a program may end without reading
    child.stdin.end(options.input ?? '')
  })
}

export type Facts = Record<string, string | number>

/** The script's decision on such facts. PATH leads nowhere: a decision that started a program would fail. */
export function decide(facts: Facts, shell: string[] = ['/bin/sh']): Promise<Run> {
  const [program = '/bin/sh', ...flags] = shell
  const input = Object.entries(facts).map(([name, value]) => `${name}=${value}\n`)
  return run(program, [...flags, scriptPath, 'decide'], {
    env: { PATH: '/nowhere', PIPEOPS_INSTALLER_HOME: '/nowhere' },
    input: input.join(''),
  })
}

/** The steps of a plan, without the notes that explain it. */
export function steps(plan: string): string[] {
  return plan.split('\n').filter((line) => line !== '' && !line.startsWith('note '))
}
