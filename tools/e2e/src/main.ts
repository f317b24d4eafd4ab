import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { whyNoNode } from '@agent/cluster'
import { untilStopped } from '@agent/toolbox'

import { runEverything } from './run.ts'

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const unable = whyNoNode()
if (unable === undefined) {
  let code = 1
  const stopped = await untilStopped(
    async (signal) => {
      const base = await mkdtemp(join(tmpdir(), 'pipeops-e2e-'))
      try {
        const { passed, failed } = await runEverything(join(base, 'node'), say, signal)
        say(`\n${passed} passed, ${failed} failed`)
        code = failed === 0 && passed > 0 ? 0 : 1
      } finally {
        await rm(base, { recursive: true, force: true })
      }
    },
    { progress: say },
  )
  process.exitCode = stopped === 0 ? code : stopped
} else {
  const mustRun = process.env['CI'] !== undefined
  say(`not run: ${unable}`)
  say(`\n0 passed, ${mustRun ? 1 : 0} failed`)
  process.exitCode = mustRun ? 1 : 0
}
process.exit()
