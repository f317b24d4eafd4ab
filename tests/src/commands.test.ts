import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { eventually } from '@agent/testing'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')

type Command = AsyncDisposable & {
  child: ChildProcess
  output(): string
  /** Waits for something to be said. */
  says(text: string): Promise<unknown>
  exited: Promise<[number | null, NodeJS.Signals | null]>
}

/** Runs `npm start` or `npm run demo`, with a folder of its own. */
function runCommand(name: 'start' | 'demo', dir: string): Command {
  const child = spawn(process.execPath, [join(root, 'tools', name, 'src/main.ts')], {
    env: { ...process.env, PIPEOPS_RUN_DIR: dir },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')))
  }
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  return {
    child,
    exited,
    output: () => text,
    says: (wanted) =>
      eventually(() => text.includes(wanted), { deadlineMs: 60_000, what: `saying “${wanted}”` }),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** Programs that know of a folder, by their command line or environment. */
async function whoKnows(dir: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter((name) => Number(name) > 0)) {
    for (const file of ['cmdline', 'environ']) {
      const text = await readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')
      if (text.includes(dir)) found.push(`${pid} ${text.slice(0, 80)}`)
    }
  }
  return found
}

async function openDir() {
  const dir = await mkdtemp(join(tmpdir(), 'pipeops-command-'))
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) }
}

test.each([
  ['start', 'SIGINT', 'starting an embedded cluster'],
  ['start', 'SIGHUP', 'starting the agent'],
  ['demo', 'SIGTERM', '$ kubectl get nodes'],
] as const)(
  '%s: %s while it is “%s” ends it and all that it started',
  async (name, signal, moment) => {
    await using folder = await openDir()
    await using command = runCommand(name, folder.dir)
    await command.says(moment)
    // The first child may be on its way just then.
    if (name === 'start') {
      await eventually(async () => (await whoKnows(folder.dir)).length > 1, {
        deadlineMs: 30_000,
        what: 'a child',
      })
    }
    command.child.kill(signal)
    await command.says('stopping …')
    // Impatience must not leave anything behind either.
    command.child.kill('SIGINT')
    expect(await command.exited).toEqual([130, null])
    expect(await whoKnows(folder.dir)).toEqual([])
  },
  90_000,
)

test('what a killed demo left running is ended by the next one, which then works', async () => {
  await using folder = await openDir()
  {
    await using killed = runCommand('demo', folder.dir)
    await killed.says('starting the agent')
  }
  expect(await whoKnows(folder.dir)).not.toEqual([])
  await using next = runCommand('demo', folder.dir)
  expect(await next.exited).toEqual([0, null])
  expect(next.output()).toContain('Every answer is the same')
  expect(await whoKnows(folder.dir)).toEqual([])
  expect(await readdir(folder.dir)).toEqual([])
}, 120_000)
