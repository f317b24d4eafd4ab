import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { repoDir, run, scriptPath } from './script.testing.ts'
import { findShellcheck } from './shellcheck.testing.ts'

const fakes = join(repoDir, 'tools/installer/fakes')

test('shellcheck has nothing to say about the script and the fake programs', async (context) => {
  const shellcheck = await findShellcheck()
  if (shellcheck === undefined) {
    if (process.env['CI'] !== undefined) throw new Error('no shellcheck: CI needs Python’s pip')
    context.skip('no shellcheck on PATH, and no pip to install it')
    return
  }
  const files = (await readdir(fakes)).map((name) => join(fakes, name))

  const args = ['--shell=sh', '--external-sources', `--source-path=${fakes}`]
  const own = await run(shellcheck, [...args, scriptPath])
  // SC1091: where the fakes are is known only when they run.
  const fake = await run(shellcheck, [...args, '--exclude=SC1091', ...files])

  expect(own).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(fake).toEqual({ code: 0, stdout: '', stderr: '' })
})

test('the script names the chart’s version, and monitoring exactly when the chart has the sidecar', async () => {
  const [script, chart, values] = await Promise.all([
    readFile(scriptPath, 'utf8'),
    readFile(join(repoDir, 'deploy/chart/Chart.yaml'), 'utf8'),
    readFile(join(repoDir, 'deploy/chart/values.yaml'), 'utf8'),
  ])

  expect(script).toContain(` PUBLISHED_CHART_VERSION=${/^version: (.*)$/m.exec(chart)?.[1]}\n`)
  const hasMonitoring = /^monitoring:/m.test(values)
  expect(script).toContain(`\nCHART_HAS_MONITORING=${hasMonitoring ? 'yes' : 'no'} `)
  for (const name of ['existingSecret', 'apiUrl', 'autoInstallComponents', 'keep']) {
    expect(values, 'a value that the script sets').toMatch(new RegExp(`^ +${name}:`, 'm'))
  }
})
