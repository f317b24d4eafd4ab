import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'

import type { Checks } from '@agent/e2e'

import { type Container, serviceOf } from './project.ts'
import type { Up } from './up.ts'

/** Tries a TCP connection from inside a container: `open`, or why not. */
const dial = `const [host, port] = process.argv.slice(1)
const socket = net.connect({ host, port, timeout: 3000 })
const end = (word) => (console.log(word), process.exit())
socket.on('connect', () => end('open')).on('error', (e) => end(e.code)).on('timeout', () => end('ETIMEDOUT'))`

/** As strict as the chart. */
export async function checkSecurity({ check }: Checks, { project }: Up): Promise<void> {
  await check(
    'no container is root, may gain rights, or writes to its own root; all are limited',
    async () => {
      for (const container of await project.containers()) assertStrict(container)
    },
  )
  await check('in each container the kernel says the same', async () => {
    for (const container of await project.containers()) {
      const status = await readFile(`/proc/${container.State.Pid}/status`, 'utf8')
      const name = serviceOf(container)
      for (const [what, expected] of Object.entries({
        Uid: '1000\t1000\t1000\t1000',
        CapEff: '0000000000000000',
        CapBnd: '0000000000000000',
        NoNewPrivs: '1',
        Seccomp: '2',
      })) {
        const found = new RegExp(`^${what}:\\t(.*)$`, 'm').exec(status)?.[1]
        assert.equal(found, expected, `${name}: ${what}`)
      }
    }
  })
  await check(
    'nothing but the agent reaches the cluster, and nothing but the sidecars the bus',
    async () => {
      const { Id } = await project.container('control-plane')
      const { Id: nats } = await project.container('nats')
      const { Id: link } = await project.container('link')
      const busPort = project.settings.env['BUS_PORT'] ?? '4222'
      const tryFrom = async (id: string, host: string, port: string): Promise<string> =>
        (await project.run(['exec', id, 'node', '--eval', dial, host, port])).trim()
      assert.equal(await tryFrom(Id, 'kubernetes', '6443'), 'ENOTFOUND')
      const address = await findAddress(nats)
      assert.equal(await tryFrom(Id, address, busPort), 'ECONNREFUSED')
      assert.equal(await tryFrom(link, '127.0.0.1', busPort), 'open')
      assert.equal(await tryFrom(link, 'kubernetes', '6443'), 'open')
    },
  )

  async function findAddress(id: string): Promise<string> {
    const networks = '{{json .NetworkSettings.Networks}}'
    const text = await project.run(['inspect', '--format', networks, id])
    const found = JSON.parse(text) as Record<string, { IPAddress: string }>
    const { IPAddress } = found[`${project.settings.project}_default`] ?? { IPAddress: '' }
    assert.notEqual(IPAddress, '')
    return IPAddress
  }
}

function assertStrict(container: Container): void {
  const { Config, HostConfig } = container
  const name = serviceOf(container)
  assert.equal(Config.User, '1000:1000', name)
  assert.equal(HostConfig.ReadonlyRootfs, true, name)
  assert.equal(HostConfig.Privileged, false, name)
  assert.deepEqual(HostConfig.CapAdd ?? [], [], name)
  assert.ok(
    (HostConfig.SecurityOpt ?? []).some((each) => each.startsWith('no-new-privileges')),
    name,
  )
  assert.ok(HostConfig.Memory > 0, `${name}: memory is not limited`)
}
