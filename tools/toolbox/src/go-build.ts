import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rename, rm, mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { Program } from './programs.ts'
import type { Progress } from './resolve.ts'

const tickMs = 10_000

export type BuildOptions = {
  /** The program's final path. */
  target: string
  workDir: string
  progress: Progress
  signal: AbortSignal | undefined
  environment: Record<string, string | undefined>
}

/** Builds a program from its Go module and puts it in place at once; needs Go 1.24 or newer. */
export async function buildWithGo(program: Program, options: BuildOptions): Promise<void> {
  const { target, workDir, progress, signal, environment } = options
  const { go } = program
  await mkdir(workDir, { recursive: true })
  const dir = await mkdtemp(join(workDir, 'build-'))
  const startedAt = performance.now()
  const seconds = (): string => `${Math.round((performance.now() - startedAt) / 1_000)} s`
  progress(`building ${program.name} ${program.version} from source …`)
  const ticker = setInterval(() => progress(`building ${program.name} … ${seconds()}`), tickMs)
  const env = { ...environment, GOFLAGS: '-buildvcs=false -mod=mod', CGO_ENABLED: '0' }
  const runGo = (args: string[]): Promise<string> =>
    execGo(args, { cwd: dir, env, signal, program })
  try {
    await runGo(['mod', 'init', 'toolbox'])
    if (go.module === 'k8s.io/kubernetes') await pinStaging(go, runGo)
    await runGo(['get', `${go.module}@${go.version}`])
    const flags = ['-trimpath', '-ldflags', `-s -w ${go.ldflags ?? ''}`.trim()]
    await runGo(['build', ...flags, '-o', join(dir, 'program'), go.package])
    await rename(join(dir, 'program'), target)
    progress(`built ${program.name} in ${seconds()}`)
  } finally {
    clearInterval(ticker)
    await rm(dir, { recursive: true, force: true })
  }
}

/** Kubernetes' go.mod names its own libraries `v0.0.0`; outside its repository each needs its published version. */
async function pinStaging(
  { module, version }: Program['go'],
  runGo: (args: string[]) => Promise<string>,
): Promise<void> {
  const { GoMod } = JSON.parse(
    await runGo(['mod', 'download', '-json', `${module}@${version}`]),
  ) as {
    GoMod: string
  }
  const staged = (await readFile(GoMod, 'utf8')).matchAll(/^\s+(k8s\.io\/[a-z-]+) v0\.0\.0$/gm)
  const published = version.replace(/^v1\./, 'v0.')
  const names = new Set([...staged].map(([, name]) => name as string))
  await runGo(['mod', 'edit', ...[...names].map((name) => `-replace=${name}=${name}@${published}`)])
}

function execGo(
  args: string[],
  options: {
    cwd: string
    env: Record<string, string | undefined>
    signal: AbortSignal | undefined
    program: Program
  },
): Promise<string> {
  const { cwd, env, signal, program } = options
  return new Promise((resolve, reject) => {
    const child = spawn('go', args, { cwd, env, ...(signal === undefined ? {} : { signal }) })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk) => (stdout += chunk))
    child.stderr.on('data', (chunk) => (stderr = (stderr + chunk).slice(-4_000)))
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const isMissing = cause.code === 'ENOENT'
      const advice = isMissing ? 'Go is not installed' : cause.message
      reject(
        new Error(
          `${program.name} ${program.version} was not found on PATH or in the cache and cannot be built: ${advice}. ` +
            `Install Go 1.24 or newer, or put ${program.name} on PATH.`,
          { cause },
        ),
      )
    })
    child.once('close', (code) => {
      if (code === 0) resolve(stdout)
      else reject(new Error(`building ${program.name} failed: go ${args[0]} …\n${stderr}`))
    })
  })
}
