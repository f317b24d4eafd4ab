import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, readdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'

import { eventually } from '@agent/testing'
import { expect, test } from 'vitest'

import { createFakeMachine, type FakeMachine } from './fake-machine.testing.ts'
import { run, scriptPath } from './script.testing.ts'

const token = 'pat_SECRET.0123456789'

const ways = [
  { name: 'PIPEOPS_TOKEN', args: [], env: { PIPEOPS_TOKEN: token } },
  { name: 'PIPEOPS_TOKEN_FILE', args: [], env: { PIPEOPS_TOKEN_FILE: 'token' } },
  { name: 'PIPEOPS_TOKEN while tracing', args: ['-x'], env: { PIPEOPS_TOKEN: token } },
  { name: 'PIPEOPS_TOKEN while exporting all', args: ['-a'], env: { PIPEOPS_TOKEN: token } },
]

test.concurrent.for(ways)(
  'the token from $name reaches kubectl’s standard input and nothing else',
  async ({ args, env }) => {
    await using machine = await createFakeMachine()
    await machine.write('token', token) // no newline at its end, as editors leave it

    const result = await run('/bin/sh', [...args, scriptPath], {
      env: {
        ...machine.env,
        ...env,
        ...('PIPEOPS_TOKEN_FILE' in env && { PIPEOPS_TOKEN_FILE: join(machine.dir, 'token') }),
      },
    })

    expect(result.code, result.stderr).toBe(0)
    expect(await filesWith(machine, token)).toEqual(['secret.yaml', 'token'])
    expect(result.stdout + result.stderr).not.toContain(token)
  },
)

// Bash before 5.1 (macOS has 3.2 as sh) writes each here-document into a file; BASH_COMPAT makes a newer one do so.
test.concurrent('the token is in no here-document, which is a file on the disk in older shells', async (context) => {
  if (!existsSync('/bin/bash')) context.skip('no bash on this machine')
  await using machine = await createFakeMachine()
  const spy = `#!/bin/sh\ncase $(readlink /proc/$$/fd/0) in *deleted*) /bin/cat | /usr/bin/tee -a "$FAKE/here-documents" ;; *) exec /bin/cat "$@" ;; esac\n`
  await machine.remove('bin/cat')
  await machine.write('bin/cat', spy)
  await chmod(join(machine.dir, 'bin/cat'), 0o755)
  await symlink('/usr/bin/readlink', join(machine.dir, 'bin/readlink'))

  const env = { ...machine.env, BASH_COMPAT: '50', PIPEOPS_TOKEN: token }
  const { code, stderr } = await run('/bin/bash', ['--posix', scriptPath], { env })

  expect(code, stderr).toBe(0)
  expect(await filesWith(machine, token)).toEqual(['secret.yaml'])
})

test.concurrent('a token typed at the prompt is not shown, and the answer to a question is', async () => {
  await using machine = await createFakeMachine({ tools: ['kubectl', 'helm'], context: 'prod' })
  await using terminal = startInTerminal(machine)

  await terminal.answer(/existing kubectl context 'prod'\? \[y\/N\] $/, 'y')
  await terminal.answer(/Token of this agent \(not shown\): $/, token)

  expect(await terminal.ended).toBe(0)
  expect(terminal.screen()).toMatch(/\[y\/N\] y/)
  expect(terminal.screen()).not.toContain(token)
  expect(await filesWith(machine, token)).toEqual(['secret.yaml'])
  expect((await machine.calls()).join('\n')).toContain('--kube-context prod upgrade --install')
})

test.concurrent('the terminal shows what is typed again after a prompt was interrupted', async () => {
  await using machine = await createFakeMachine()
  const before = await machine.contents()
  await using terminal = startInTerminal(machine, 'trap : INT; sh "$SCRIPT"; stty -a')

  await terminal.answer(/not shown\): $/, '\u0003')

  await terminal.ended
  expect(terminal.screen()).toMatch(/interrupted\r\n {2}where: before anything was added/)
  expect(terminal.screen()).toMatch(/[^-]echo\b/)
  expect(await machine.contents()).toEqual(before)
})

test.concurrent.for([
  { name: 'with a space', value: 'pat two' },
  { name: 'with a quote', value: 'pat"two' },
  { name: 'of several lines', value: 'pat\ntwo: three' },
])('a token $name is refused without being shown', async ({ value }) => {
  await using machine = await createFakeMachine()
  const before = await machine.contents()

  const { code, stdout, stderr } = await machine.run([], { PIPEOPS_TOKEN: value })

  expect(code).toBe(2)
  expect(stderr).toContain('characters no token has')
  expect(stdout + stderr).not.toMatch(/pat|three/)
  expect(await machine.contents()).toEqual(before)
})

test.concurrent('a token given as an argument is refused without being shown', async () => {
  await using machine = await createFakeMachine()

  const { code, stdout, stderr } = await machine.run([`--token=${token}`])

  expect(code).toBe(2)
  expect(stderr).toContain('PIPEOPS_TOKEN_FILE')
  expect(stdout + stderr).not.toContain(token)
})

test.concurrent('the facts are for a bug report: no token in them', async () => {
  await using machine = await createFakeMachine()

  const { stdout } = await machine.run(['facts'], { PIPEOPS_TOKEN: token })

  expect(stdout).toContain('token=given\n')
  expect(stdout).not.toContain(token)
})

async function filesWith(machine: FakeMachine, text: string): Promise<string[]> {
  const entries = await readdir(machine.dir, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const found: string[] = []
  for (const { name, parentPath } of files) {
    if ((await readFile(join(parentPath, name), 'utf8')).includes(text)) found.push(name)
  }
  return found.toSorted()
}

/** Runs the script as a person would see it: util-linux's `script` gives it a terminal of its own. */
function startInTerminal(machine: FakeMachine, command = 'sh "$SCRIPT"') {
  let shown = ''
  const child = spawn('/usr/bin/script', ['-qec', command, '/dev/null'], {
    env: { ...machine.env, SHELL: '/bin/sh', SCRIPT: scriptPath },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text))
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', (code) => resolve(code))
  })
  return {
    ended,
    screen: () => shown,
    answer: async (prompt: RegExp, text: string) => {
      await eventually(() => prompt.test(shown), { deadlineMs: 15_000, what: `prompt ${prompt}` })
      child.stdin.write(text === '\u0003' ? text : `${text}\n`)
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}
