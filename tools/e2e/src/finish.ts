import { writeFile } from 'node:fs/promises'

/** What came of a run; with `skipped` nothing could be checked here. */
export type Counts = { passed: number; failed: number; skipped?: string }

/**
 * Prints the closing line, and writes the counts to a file as Vitest's reporter names them where somebody adds them up;
 * returns the exit code. What must run and could not has failed: a skip in CI, and a run that checked nothing.
 */
export async function finish({ passed, failed, skipped }: Counts, file?: string): Promise<number> {
  const mustRun = process.env['CI'] !== undefined
  if (skipped !== undefined) process.stdout.write(`${mustRun ? 'FAILED' : 'skipped'}: ${skipped}\n`)
  const isSkipped = skipped !== undefined && !mustRun
  const failures = passed === 0 && !isSkipped ? Math.max(failed, 1) : failed
  if (file !== undefined) {
    const counts = { numPassedTests: passed, numFailedTests: failures, skipped: isSkipped }
    await writeFile(file, JSON.stringify(counts))
  }
  process.stdout.write(`\n${passed} passed, ${failures} failed\n`)
  return failures === 0 ? 0 : 1
}
