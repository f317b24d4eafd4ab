import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

const run = promisify(execFile)
const source = join(import.meta.dirname, '../loadgen')

/** What the program in ../loadgen is told to do; its main.go says what each field means. */
export type GeneratorSpec = {
  mode:
    | 'load'
    | 'download'
    | 'upload'
    | 'stall'
    | 'watch'
    | 'exec'
    | 'origin'
    | 'delay'
    | 'fill'
    | 'certs'
  [field: string]: unknown
}

/** A generator that is set up and warm, and waits for the word. */
export type Generator = AsyncDisposable & {
  pid: number
  /** Lets it begin; resolves with its figures. Connections stay open until it is disposed. */
  go(): Promise<Record<string, number>>
}

/** Builds the generator; needs Go, and takes a moment only when its source changed. */
export async function buildGenerator(dir: string): Promise<string> {
  const program = join(dir, 'loadgen')
  try {
    await run('go', ['build', '-trimpath', '-o', program, '.'], {
      cwd: source,
      env: { ...process.env, GOFLAGS: '-buildvcs=false', CGO_ENABLED: '0' },
    })
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw new Error(
      isMissing
        ? 'the load generator is a Go program and Go is not installed: install Go 1.24 or newer'
        : `the load generator does not build:\n${(cause as { stderr?: string }).stderr ?? String(cause)}`,
      { cause },
    )
  }
  return program
}

/** Starts generators that all end when the signal does. */
export type StartGenerator = (spec: GeneratorSpec) => Promise<Generator>

/** Binds the built program to a signal. */
export function createGenerators(program: string, signal: AbortSignal): StartGenerator {
  return (spec) => startGenerator(program, spec, signal)
}

/** Starts the generator and waits until it is ready; the spec (it may hold a token) goes in by stdin. */
async function startGenerator(
  program: string,
  spec: GeneratorSpec,
  signal: AbortSignal,
): Promise<Generator> {
  signal.throwIfAborted()
  const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'pipe'] })
  const kill = (): void => void child.kill()
  signal.addEventListener('abort', kill, { once: true })
  const exited = once(child, 'exit')
  let stderr = ''
  child.stderr.on('data', (chunk) => (stderr = (stderr + chunk).slice(-2_000)))
  // It may be gone already when it is told something.
  child.stdin.on('error', () => {})
  child.stdin.write(`${JSON.stringify(spec)}\n`)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()

  async function next(event: string): Promise<Record<string, number>> {
    const { value } = await lines.next()
    if (value === undefined) {
      signal.throwIfAborted()
      throw new Error(`the generator (${spec.mode}) died: ${stderr}`)
    }
    const answer = JSON.parse(value) as { event: string; message?: string }
    if (answer.event === 'error')
      throw new Error(`${spec.mode} ${textOf(spec['url'])}: ${answer.message}`)
    if (answer.event !== event) throw new Error(`${answer.event} came before ${event}`)
    return answer as unknown as Record<string, number>
  }
  async function stop(): Promise<void> {
    child.stdin.end()
    await exited
    signal.removeEventListener('abort', kill)
  }

  try {
    const isHelper = spec.mode === 'fill' || spec.mode === 'certs'
    if (!isHelper) await next('ready')
  } catch (error) {
    await stop()
    throw error
  }
  return {
    pid: child.pid as number,
    async go() {
      child.stdin.write('go\n')
      const { event: _event, ...figures } = await next('result')
      return figures
    },
    [Symbol.asyncDispose]: stop,
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
