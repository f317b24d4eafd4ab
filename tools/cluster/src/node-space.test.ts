import { access, mkdir, mkdtemp, readFile, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { run, tryRun, whyNoNode } from './node-host.ts'
import { openNodeSpace } from './node-space.ts'

const unable = whyNoNode()
const isSkipped = unable !== undefined && process.env['CI'] === undefined
/** Other names than the whole node's own, so that both may run at once. */
const names = {
  name: 'pipeops-test',
  link: 'pipeops9',
  network: '10.213.90.0/30',
  hostAddress: '10.213.90.2',
  address: '10.213.90.1',
}
const foreignGroup = '/sys/fs/cgroup/memory/kubepods-of-others'

async function openDir() {
  const dir = await mkdtemp(join(tmpdir(), 'pipeops-space-'))
  return { dir: join(dir, 'node'), [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) }
}

/** What others have on the machine, named as container software names it. */
async function foreign(): Promise<AsyncDisposable> {
  await using scope = new AsyncDisposableStack()
  scope.defer(async () => void (await tryRun('ip', 'netns', 'delete', 'cni-of-others')))
  await run('ip', ['netns', 'add', 'cni-of-others'])
  scope.defer(async () => void (await tryRun('ip', 'link', 'delete', 'veth0123abcd')))
  await run('ip', ['link', 'add', 'veth0123abcd', 'type', 'veth', 'peer', 'name', 'veth4567cdef'])
  scope.defer(async () => void (await tryRun('iptables', '-t', 'nat', '-X', 'KUBE-OF-OTHERS')))
  await run('iptables', ['-t', 'nat', '-N', 'KUBE-OF-OTHERS'])
  scope.defer(() => rmdir(foreignGroup).catch(() => {}))
  await mkdir(foreignGroup, { recursive: true }).catch(() => {})
  const owned = scope.move()
  return { [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

async function host(): Promise<Record<string, string>> {
  const withoutCounters = (text: string): string => text.replaceAll(/^#.*|\[\d+:\d+\]/gm, '')
  return {
    rules: withoutCounters(await tryRun('iptables-save')),
    links: await tryRun('ip', '-o', 'link'),
    addresses: await tryRun('ip', '-o', 'address'),
    namespaces: await tryRun('ip', 'netns', 'list'),
    mounts: await readFile('/proc/mounts', 'utf8'),
    panic: await readFile('/proc/sys/kernel/panic', 'utf8'),
    group: await access(foreignGroup).then(String, () => 'none'),
  }
}

test.skipIf(isSkipped)('what happens in a space leaves the host as it was', async () => {
  await using folder = await openDir()
  await using _others = await foreign()
  // The first namespace makes the folder for them a mount.
  const before = await host()
  {
    await using space = await openNodeSpace(names, folder.dir)
    const [program, ...prefix] = space.prefix as [string, ...string[]]
    const inside = (script: string) => run(program, [...prefix, 'sh', '-c', script])
    await inside(`
      set -e
      test "$(cat /proc/sys/kernel/panic)" = '${before['panic']?.trim()}'
      iptables -t nat -N KUBE-SERVICES
      ip link add cni0 type bridge
      ip netns add cni-1
      mount -t tmpfs none /var/lib/kubelet
      touch /var/log/pods/log
      echo 7 > /proc/sys/kernel/panic
      sleep 1000 > /dev/null 2>&1 &`)
    const during = await host()
    expect(during['rules']).toBe(before['rules'])
    expect(during['panic']).toBe(before['panic'])
    expect(during['links']).not.toContain('cni0')
    await expect(access('/var/log/pods/log')).rejects.toThrow()
  }
  expect(await host()).toEqual(before)
})

test.skipIf(isSkipped)(
  'a space in use is refused, and so is one whose network is taken',
  async () => {
    await using folder = await openDir()
    {
      await using _space = await openNodeSpace(names, folder.dir)
      await expect(openNodeSpace(names, folder.dir)).rejects.toThrow(`process ${process.pid}`)
    }
    await using scope = new AsyncDisposableStack()
    scope.defer(async () => void (await tryRun('ip', 'link', 'delete', 'pipeops8')))
    await run('ip', ['link', 'add', 'pipeops8', 'type', 'bridge'])
    await run('ip', ['address', 'add', names.hostAddress, 'dev', 'pipeops8'])
    await expect(openNodeSpace(names, folder.dir)).rejects.toThrow('which this machine uses')
  },
)
