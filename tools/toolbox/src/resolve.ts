import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

import { isExecutable } from './find-program.ts'
import { buildWithGo } from './go-build.ts'
import { withLock } from './lock.ts'
import { type Program, programs } from './programs.ts'

const run = promisify(execFile)

/** Says what is going on, for people who wait. */
export type Progress = (message: string) => void

export type ResolveOptions = {
  progress?: Progress
  signal?: AbortSignal
  environment?: Record<string, string | undefined>
  /** Of a program that is only packed, not run: where it is not this machine's, only the cache and a build can help. */
  arch?: Architecture
}

/** As Node calls it. */
export type Architecture = 'x64' | 'arm64'

/** Where built programs are kept between runs. */
export function cacheDir(environment: Record<string, string | undefined> = process.env): string {
  const base = environment['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  return join(base, 'pipeops-agent', 'toolbox')
}

/**
 * The path of a program: `TOOLBOX_<NAME>` in the environment, else a matching version on PATH, else the cache, else
 * built from source into the cache. Throws an error that says what was tried and what to do.
 */
export async function resolveTool(name: string, options: ResolveOptions = {}): Promise<string> {
  const { environment = process.env, progress = () => {}, signal, arch = process.arch } = options
  const program = programs.get(name)
  if (program === undefined) throw new Error(`the toolbox does not know the program ${name}`)

  const installed = arch === process.arch ? await findInstalled(program, environment) : undefined
  if (installed !== undefined) return installed
  const folder = join(
    cacheDir(environment),
    `${name}-${program.version}-${process.platform}-${arch}`,
  )
  const cached = join(folder, name)
  if (await isExecutable(cached)) return cached
  await mkdir(folder, { recursive: true })
  return withLock(
    `${folder}.lock`,
    { progress, ...(signal === undefined ? {} : { signal }) },
    async () => {
      // Somebody else may have built it while we waited.
      if (await isExecutable(cached)) return cached
      await buildWithGo(program, {
        target: cached,
        workDir: cacheDir(environment),
        progress,
        signal,
        environment: arch === process.arch ? environment : { ...environment, GOARCH: goArch(arch) },
      })
      return cached
    },
  )
}

/** What is built where nothing fitting is found. */
export function toolVersion(name: string): string | undefined {
  return programs.get(name)?.version
}

/** Several programs; builds run one after the other, because each uses all cores. */
export async function resolveTools<Name extends string>(
  names: readonly Name[],
  options: ResolveOptions = {},
): Promise<Record<Name, string>> {
  const paths: [string, string][] = []
  for (const name of names) paths.push([name, await resolveTool(name, options)])
  return Object.fromEntries(paths) as Record<Name, string>
}

async function findInstalled(
  program: Program,
  environment: Record<string, string | undefined>,
): Promise<string | undefined> {
  const variable = overrideName(program.name)
  const override = environment[variable]
  if (override !== undefined) {
    if (await isExecutable(override)) return override
    throw new Error(`${variable}: ${override} is not an executable file`)
  }
  for (const dir of (environment['PATH'] ?? '').split(delimiter)) {
    const candidate = join(dir, program.name)
    if ((await isExecutable(candidate)) && (await matches(program, candidate))) return candidate
  }
  return undefined
}

function goArch(arch: string): string {
  return arch === 'x64' ? 'amd64' : arch
}

/** `kube-apiserver` → `TOOLBOX_KUBE_APISERVER`. */
export function overrideName(name: string): string {
  return `TOOLBOX_${name.replaceAll('-', '_').toUpperCase()}`
}

async function matches(program: Program, file: string): Promise<boolean> {
  try {
    const { stdout, stderr } = await run(file, program.versionArgs, { timeout: 5_000 })
    return `${stdout}${stderr}`.includes(program.accepts)
  } catch {
    return false
  }
}
