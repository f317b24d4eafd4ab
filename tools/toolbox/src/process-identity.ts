import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** When a process started, in the system's own words; empty where there is no such process. A pid alone is given out again. */
export async function startTime(pid: number): Promise<string> {
  if (!(pid > 0)) return ''
  if (process.platform !== 'linux') {
    const { stdout } = await run('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => ({
      stdout: '',
    }))
    return stdout.trim().replaceAll(/\s+/g, '-')
  }
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The program's name may hold spaces and brackets: fields are counted from its last bracket (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' ? '' : (fields[19] ?? '')
}

/** A process as one line: its pid and when it started. */
export async function identify(pid: number): Promise<string> {
  return `${pid} ${await startTime(pid)}`
}

/** The pid in such a line while that very process lives, else undefined. */
export async function findLiving(line: string): Promise<number | undefined> {
  const [pid, since = ''] = line.trim().split(' ')
  return since !== '' && (await startTime(Number(pid))) === since ? Number(pid) : undefined
}
