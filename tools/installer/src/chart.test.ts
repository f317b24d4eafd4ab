import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { resolveTool } from '@agent/toolbox'
import { beforeAll, describe, expect, test } from 'vitest'

import { server } from './environment.testing.ts'
import { createFakeMachine } from './fake-machine.testing.ts'
import { decide, repoDir } from './script.testing.ts'

const PIPEOPS_TOKEN = 'pat_for-the-installer.0123456789'
const chartDir = join(repoDir, 'deploy/chart')
const long = 'a'.repeat(63)

const names = ['shop', 'a', '7', 'prod-eu-1.a', 'a..b', 'a.-b', long, `${long}a`, 'My_Cluster']
const moreNames = ['Shop', 'a.', 'a-', '.a', '-a', 'a_b', 'a b', 'a,b=c', 'ä', 'shop{', '*', 'a/b']
const addresses = ['https://x.y', 'https://x.y/', 'https://x.y//', 'https://x.y:8443', 'https://x']
const moreAddresses = ['http://x.y', 'https://x.y/path', 'https://x.y/path/', 'https://', 'x.y']
const strange = ['https:///', 'https:///x', 'https://u@x.y', 'https://u:p@x.y/', 'HTTPS://x.y', '/']

describe.concurrent('what the chart’s schema refuses, the decision refuses too', () => {
  test.for([...names, ...moreNames])('as a name: %s', async (name) => {
    const { pattern, maxLength } = await schemaOf('cluster', 'name')

    const { code, stdout } = await decide({ ...server, cluster_name: name })

    const fits = new RegExp(pattern).test(name) && name.length <= (maxLength ?? Infinity)
    expect(code, stdout).toBe(fits ? 0 : 2)
  })

  test.for([...addresses, ...moreAddresses, ...strange])('as an address: %s', async (address) => {
    const { pattern } = await schemaOf('pipeops', 'apiUrl')

    const { code, stdout } = await decide({ ...server, api_url: address })

    expect(code, stdout).toBe(new RegExp(pattern).test(address) ? 0 : 2)
  })
})

const settings = [
  { what: 'nothing set', env: {}, shown: /PIPEOPS_CLUSTER_NAME: "default-cluster"/ },
  {
    what: 'a name and an address',
    env: { CLUSTER_NAME: 'prod-eu-1.a', PIPEOPS_API_URL: 'https://cp.example.com:8443/' },
    shown: /https:\/\/cp\.example\.com:8443/,
  },
  {
    what: 'a proxy',
    env: { HTTPS_PROXY: 'http://proxy.corp:3128', NO_PROXY: '10.0.0.0/8, *.corp,[fd00::1]' },
    shown: /http:\/\/proxy\.corp:3128/,
  },
  {
    what: 'a proxy without a scheme, and hosts that need none',
    env: { https_proxy: 'proxy.corp:3128', no_proxy: '10.0.0.0/8, *.corp,.svc' },
    shown: /http:\/\/proxy\.corp:3128[^]*10\.0\.0\.0\/8,\*\.corp,\.svc/,
  },
]

describe.concurrent('the real chart renders with exactly the arguments it gets', () => {
  let helm = ''
  beforeAll(async () => {
    helm = await resolveTool('helm', {})
  }, 300_000)

  test.for(settings)('with $what', async ({ env, shown }) => {
    await using machine = await createFakeMachine()
    const { code, stderr } = await machine.run([], { PIPEOPS_TOKEN, ...env })
    expect(code, stderr).toBe(0)

    const { stdout } = await promisify(execFile)(helm, templateArguments(await machine.calls()), {
      env: { HOME: machine.dir },
    })

    expect(stdout).toContain('name: pipeops-agent-state\n')
    expect(stdout).toMatch(shown)
  })
})

test('a password in the proxy’s address goes nowhere, and the plan says what to do', async () => {
  await using machine = await createFakeMachine()
  const HTTPS_PROXY = 'http://user:s3cret-word@proxy.corp:3128'

  const { code, stdout } = await machine.run([], { PIPEOPS_TOKEN, HTTPS_PROXY })
  const facts = await machine.run(['facts'], { HTTPS_PROXY })

  expect(code).toBe(0)
  expect(stdout).toMatch(/HTTPS_PROXY holds a password.*--values FILE .*secretKeyRef/)
  expect(facts.stdout).toContain('proxy=password\n')
  expect(facts.stdout + stdout + (await machine.read('calls'))).not.toContain('s3cret-word')
})

/** The call of `helm upgrade --install` for the agent, as `helm template`: what only a cluster can do left out. */
function templateArguments(calls: string[]): string[] {
  const call = calls.find((text) => text.includes(' upgrade --install pipeops-agent ')) ?? ''
  const [, values] = /--wait --timeout 5m --reset-then-reuse-values (.*)$/.exec(call) ?? []
  const fixed = ['template', 'pipeops-agent', chartDir, '--namespace', 'pipeops-system']
  return [...fixed, ...(values ?? 'no such call').split(' ')]
}

async function schemaOf(part: string, name: string) {
  const schema = JSON.parse(await readFile(join(chartDir, 'values.schema.json'), 'utf8')) as Schema
  const found = schema.properties?.['agent']?.properties?.[part]?.properties?.[name]
  if (found?.pattern === undefined) throw new Error(`agent.${part}.${name} has no pattern`)
  return { pattern: found.pattern, maxLength: found.maxLength }
}
type Schema = { properties?: Record<string, Schema>; pattern?: string; maxLength?: number }
