import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { whyNoNode } from '@agent/cluster'

import { runEverything } from './run.ts'

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const unable = whyNoNode()
if (unable === undefined) {
  const base = await mkdtemp(join(tmpdir(), 'pipeops-e2e-'))
  try {
    const { passed, failed } = await runEverything(join(base, 'node'), say)
    say(`\n${passed} passed, ${failed} failed`)
    process.exitCode = failed === 0 && passed > 0 ? 0 : 1
  } finally {
    await rm(base, { recursive: true, force: true })
  }
} else {
  const mustRun = process.env['CI'] !== undefined
  say(`not run: ${unable}`)
  say(`\n0 passed, ${mustRun ? 1 : 0} failed`)
  process.exitCode = mustRun ? 1 : 0
}
