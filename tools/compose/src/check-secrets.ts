import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'

import { type Checks, openDoorOf } from '@agent/e2e'
import { eventually } from '@agent/testing'

import { serviceOf } from './project.ts'
import type { Up } from './up.ts'

/** Where each secret is kept, by the service that holds it. */
const files = {
  'control-plane': ['/data/admin.token', '/data/ca.key', '/data/tls.key', '/data/nats/token'],
  secrets: ['/run/pod/token', '/run/agent/demo.token', '/run/cluster/token'],
  link: ['/data/demo.state.key'],
}

/** The last thing that the service says. */
const done = 'secrets: all are there'

/** Secrets are where they belong, and nowhere else. */
export async function checkSecrets({ check }: Checks, up: Up): Promise<void> {
  const { project } = up
  using door = await openDoorOf(up.kubeconfig)
  await check(
    'no secret is in an environment, an argument, a log or in what inspect tells',
    async () => {
      const secrets = [door.token, ...(await readSecrets())]
      for (const container of await project.containers()) {
        const name = serviceOf(container)
        const ofProcess = (what: string) => readFile(`/proc/${container.State.Pid}/${what}`, 'utf8')
        const told = {
          inspect: JSON.stringify(container),
          environment: await ofProcess('environ'),
          arguments: await ofProcess('cmdline'),
          log: await project.run(['logs', container.Id]),
        }
        for (const [where, text] of Object.entries(told)) {
          const found = secrets.filter((secret) => text.includes(secret))
          assert.equal(found.length, 0, `${name}: a secret in its ${where}`)
        }
      }
      return `${secrets.length} secrets`
    },
  )
  await check('the proxy and the console cannot read the agent’s token', async () => {
    for (const service of ['proxy', 'console']) {
      const { Id } = await project.container(service)
      const list = 'console.log(fs.readdirSync("/run/agent").length)'
      assert.equal((await project.run(['exec', Id, 'node', '--eval', list])).trim(), '0', service)
    }
  })
  await check('a token of the agent that was revoked is not made again', async () => {
    const { tokens } = await list()
    for (const { id } of tokens) await project.ctl('agent-tokens', 'revoke', id)
    const { Id } = await project.container('secrets')
    const countStarts = async () => (await project.run(['logs', Id])).split(done).length
    const before = await countStarts()
    await project.run(['restart', Id])
    await eventually(async () => (await countStarts()) > before, {
      deadlineMs: 20_000,
      what: 'it has done its work',
    })
    assert.deepEqual((await list()).tokens, [])
  })

  async function list() {
    const text = await project.ctl('--output', 'json', 'agent-tokens', 'list')
    return JSON.parse(text) as { tokens: { id: string }[] }
  }
  async function readSecrets(): Promise<string[]> {
    const found: string[] = []
    for (const [service, paths] of Object.entries(files)) {
      const { Id } = await project.container(service)
      const print =
        'for (const file of process.argv.slice(1)) console.log(JSON.stringify(String(fs.readFileSync(file))))'
      const text = await project.run(['exec', Id, 'node', '--eval', print, ...paths])
      const lines = text
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as string).trim())
      // Of a key in PEM, the lines between its marks.
      found.push(
        ...lines.flatMap((each) => each.split('\n').filter((line) => !line.startsWith('-----'))),
      )
    }
    assert.ok(found.every((secret) => secret.length >= 20))
    return found
  }
}
