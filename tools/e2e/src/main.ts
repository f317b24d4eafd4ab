import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { whyNoNode } from '@agent/cluster'
import { untilStopped } from '@agent/toolbox'

import { runEverything } from './run.ts'

const { values } = parseArgs({ options: { 'output-file': { type: 'string' } } })
const startedAt = performance.now()

const unable = whyNoNode()
if (unable === undefined) {
  process.exitCode = await run()
} else {
  const mustRun = process.env['CI'] !== undefined
  process.stdout.write(`${mustRun ? 'FAILED' : 'skipped'}: ${unable}\n`)
  process.exitCode = await finish(0, mustRun ? 1 : 0)
}
process.exit()

async function run(): Promise<number> {
  let code = 1
  const stopped = await untilStopped(
    async (signal) => {
      const base = await mkdtemp(join(tmpdir(), 'pipeops-e2e-'))
      try {
        const { passed, failed } = await runEverything(join(base, 'node'), say, signal)
        code = await finish(passed, passed === 0 ? Math.max(failed, 1) : failed)
      } finally {
        await rm(base, { recursive: true, force: true })
      }
    },
    { progress: say },
  )
  return stopped === 0 ? code : stopped
}

/** One line, or several, with the seconds since the start. */
function say(text: string): void {
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0).padStart(4)
  process.stdout.write(`${seconds} s  ${text.replaceAll('\n', '\n        ')}\n`)
}

/** The closing line, and the counts where somebody adds them up; returns the exit code. */
async function finish(passed: number, failed: number): Promise<number> {
  const file = values['output-file']
  if (file !== undefined) {
    const counts = {
      numPassedTests: passed,
      numFailedTests: failed,
      skipped: passed + failed === 0,
    }
    await writeFile(file, JSON.stringify(counts))
  }
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`)
  return failed === 0 ? 0 : 1
}
