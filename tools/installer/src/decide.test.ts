import { accessSync } from 'node:fs'

import { describe, expect, test } from 'vitest'

import { inputs } from './inputs.testing.ts'
import { machines } from './machines.testing.ts'
import { requests } from './requests.testing.ts'
import { decide, steps } from './script.testing.ts'

const environments = [...machines, ...requests, ...inputs]

const shells = [
  ['/bin/sh'],
  ['/bin/dash'],
  ['/bin/bash', '--posix'],
  ['/usr/bin/busybox', 'sh'],
].filter(([program = '']) => isThere(program))

function isThere(path: string): boolean {
  try {
    accessSync(path)
    return true
  } catch {
    return false
  }
}

test('is shown on at least 40 kinds of machine, each with a name of its own', () => {
  expect(machines.length).toBeGreaterThanOrEqual(40)
  expect(new Set(environments.map(({ name }) => name)).size).toBe(environments.length)
})

describe.concurrent('the decision', () => {
  test.for(environments)('$name', async (environment) => {
    const { code, stdout } = await decide(environment.facts)

    if ('refused' in environment) {
      expect(stdout).toMatch(environment.refused)
      expect(stdout, 'a refusal comes without a plan').not.toMatch(/^(create|use|agent|fetch) /m)
      for (const line of stdout.trim().split('\n')) {
        expect(line, 'what, where, what to do').toMatch(/^error .+ \| .+ \| .+$/)
      }
      expect(code).toBe(2)
    } else {
      expect(steps(stdout)).toEqual(environment.plan)
      expect(stdout).toMatch(environment.note ?? '')
      expect(code).toBe(0)
    }
  })

  test.for(shells)('is the same in %s', async (shell) => {
    for (const { facts, name } of environments) {
      const [here, there] = await Promise.all([decide(facts), decide(facts, shell)])
      expect(there, name).toEqual(here)
    }
  })

  test('names what kept every other kind of cluster out', async () => {
    const { stdout } = await decide({
      os: 'linux',
      arch: 'amd64',
      docker: 'usable',
      cpus: 1,
      memory_mb: 1900,
      disk_mb: 8000,
      token: 'given',
    })

    expect(stdout).toMatch(
      /^note k3d fits best; k3s: needs root, .*minikube: needs 2 CPUs, has 1, .*k3d: score 90; kind: /m,
    )
  })

  test('names every problem at once', async () => {
    const { stdout } = await decide({
      os: 'plan9',
      arch: 'mips',
      cluster_type: 'talos',
      token: 'none',
    })

    expect(stdout.trim().split('\n')).toHaveLength(4)
  })
})
