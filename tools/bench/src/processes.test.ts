import { spawn } from 'node:child_process'
import { once } from 'node:events'

import { expect, test } from 'vitest'

import { measure } from './processes.ts'

/** Waits to be told, then burns half a second of CPU and touches 100 MB for a moment; its child does the same. */
const program = `
const { fork } = require('node:child_process')
const child = process.argv[1] === 'parent' ? fork('-e', [], { execArgv: ['-e', process.env.PROGRAM, 'child'] }) : undefined
if (child === undefined) process.send('ready')
else child.on('message', (message) => process.send(message))
process.on('message', () => {
  child?.send('go')
  const until = process.cpuUsage().user + 500_000
  Buffer.alloc(100_000_000, 1)
  while (process.cpuUsage().user < until);
  if (child === undefined) process.send('done')
})
process.on('disconnect', () => process.exit())
`

test('CPU time and peak memory of a process and of its children are seen', async () => {
  const child = spawn(process.execPath, ['-e', program, 'parent'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, PROGRAM: program },
  })
  await using scope = new AsyncDisposableStack()
  scope.defer(() => void child.kill())
  await once(child, 'message')
  const { processes } = await measure(
    [{ name: 'burner', pid: child.pid as number, side: 'path' }],
    async () => {
      child.send('go')
      await once(child, 'message')
    },
  )
  expect(processes.map(({ name }) => name)).toEqual(['burner', expect.stringMatching('^burner/')])
  for (const { cpuSeconds, rssBeforeBytes, rssPeakBytes } of processes) {
    expect(cpuSeconds).toBeGreaterThan(0.4)
    expect(cpuSeconds).toBeLessThan(3)
    expect(rssPeakBytes - rssBeforeBytes).toBeGreaterThan(90_000_000)
    expect(rssPeakBytes).toBeLessThan(1_000_000_000)
  }
})
