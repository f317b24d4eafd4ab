import { spawn } from 'node:child_process'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../../..')
const resultsDir = join(root, '.run', 'test-results')

type Check = { name: string; command: string[]; countsFrom?: string }

const checks: Check[] = [
  { name: 'format', command: ['oxfmt', '--check', '.'] },
  { name: 'lint', command: ['oxlint', '--type-aware', '--max-warnings', '0'] },
  { name: 'types', command: ['nx', 'run-many', '-t', 'typecheck', '--output-style=stream'] },
  { name: 'dead code', command: ['knip'] },
  { name: 'bundles', command: ['node', 'tools/bundle/src/main.ts'] },
  // Built here, with progress, so that no test waits for it. All of them, because CI has root.
  { name: 'tools', command: ['node', 'tools/toolbox/src/main.ts'] },
  vitest('unit', ['--project', '!@agent/acceptance']),
  vitest('acceptance', ['--project', '@agent/acceptance', '--no-file-parallelism']),
  counting('compose', 'tools/compose/src/main.ts', 'test'),
  counting('e2e', 'tools/e2e/src/main.ts'),
]

/** A script that writes its counts as Vitest does, and `skipped` where it cannot run here. */
function counting(name: string, ...script: string[]): Check {
  const file = join(resultsDir, `${name}.json`)
  return { name, command: ['node', ...script, '--output-file', file], countsFrom: file }
}

function vitest(name: string, args: string[]): Check {
  const file = join(resultsDir, `${name}.json`)
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  return { name, command: ['vitest', 'run', ...args, ...reporters], countsFrom: file }
}

/** Runs every check, goes on after a failure, and closes with `N passed, N failed`; 0 when nothing failed. */
export async function runChecks(only: string[]): Promise<number> {
  await rm(resultsDir, { recursive: true, force: true })
  await mkdir(resultsDir, { recursive: true })
  const total = { passed: 0, failed: 0 }
  for (const check of checks) {
    if (only.length > 0 && !only.includes(check.name)) continue
    process.stdout.write(`\n── ${check.name} ──\n`)
    const startedAt = performance.now()
    const isGood = await run(check.command)
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0)
    process.stdout.write(`${check.name}: ${isGood ? 'done' : 'FAILED'} in ${seconds} s\n`)
    const counts = await count(check, isGood)
    total.passed += counts.passed
    total.failed += counts.failed
  }
  process.stdout.write(`\n${total.passed} passed, ${total.failed} failed\n`)
  return total.failed === 0 && total.passed > 0 ? 0 : 1
}

function run([program, ...args]: string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(program as string, args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    child.once('error', () => resolve(false))
    child.once('close', (code) => resolve(code === 0))
  })
}

/** A test runner counts its tests; any other check is one. A runner that failed without a failed test counts too. */
async function count(
  { countsFrom }: Check,
  isGood: boolean,
): Promise<{ passed: number; failed: number }> {
  if (countsFrom === undefined) return { passed: Number(isGood), failed: Number(!isGood) }
  try {
    const {
      numPassedTests: passed,
      numFailedTests: failed,
      skipped = false,
    } = JSON.parse(await readFile(countsFrom, 'utf8')) as {
      numPassedTests: number
      numFailedTests: number
      skipped?: boolean
    }
    const isBroken = (passed === 0 && !skipped) || (!isGood && failed === 0)
    return { passed, failed: failed + Number(isBroken) }
  } catch {
    return { passed: 0, failed: 1 }
  }
}
