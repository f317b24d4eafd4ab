import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Which sources something is built from; the date is the commit's, so that equal sources build equal bytes. */
export type Revision = { commit: string; date: string }

/**
 * What git says of `root`, or, where there is no git as in an image build, AGENT_COMMIT and AGENT_BUILD_DATE;
 * undefined where neither knows.
 */
export async function readRevision(
  root: string,
  environment: Record<string, string | undefined> = process.env,
): Promise<Revision | undefined> {
  const { AGENT_COMMIT: commit, AGENT_BUILD_DATE: date } = environment
  if (commit !== undefined && date !== undefined) return { commit, date: utc(date) }
  try {
    const { stdout } = await run('git', ['log', '-1', '--format=%H %cI'], { cwd: root })
    const [head = '', committed = ''] = stdout.trim().split(' ')
    return { commit: head, date: utc(committed) }
  } catch {
    return undefined
  }
}

/** To the second: git knows no more. */
function utc(date: string): string {
  return `${new Date(date).toISOString().slice(0, 19)}Z`
}
