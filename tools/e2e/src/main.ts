import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { whyNoNode } from '@agent/cluster'
import { untilStopped } from '@agent/toolbox'

import { type Counts, finish } from './finish.ts'
import { runEverything } from './run.ts'

const { values } = parseArgs({ options: { 'output-file': { type: 'string' } } })
const file = values['output-file']
const startedAt = performance.now()

const unable = whyNoNode()
process.exitCode =
  unable === undefined ? await run() : await finish({ passed: 0, failed: 0, skipped: unable }, file)
process.exit()

async function run(): Promise<number> {
  // What ends before it has come to its checks has failed.
  let counts: Counts = { passed: 0, failed: 1 }
  const stopped = await untilStopped(
    async (signal) => {
      const base = await mkdtemp(join(tmpdir(), 'pipeops-e2e-'))
      try {
        counts = await runEverything(join(base, 'node'), say, signal)
      } finally {
        await rm(base, { recursive: true, force: true })
      }
    },
    { progress: say },
  )
  const code = await finish(counts, file)
  return stopped === 0 ? code : stopped
}

/** One line, or several, with the seconds since the start. */
function say(text: string): void {
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0).padStart(4)
  process.stdout.write(`${seconds} s  ${text.replaceAll('\n', '\n        ')}\n`)
}
