import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What the machine's other software has: rules, links, addresses, namespaces, mounts, settings, groups. */
export async function readHostState(): Promise<Record<string, string>> {
  const read = async (program: string, ...args: string[]): Promise<string> => {
    const PATH = `${process.env['PATH']}:/usr/sbin:/sbin`
    const { stdout } = await run(program, args, { env: { PATH } }).catch(() => ({ stdout: '' }))
    return stdout
      .replaceAll(/^#.*|\[\d+:\d+\]/gm, '')
      .split('\n')
      .filter((line) => !/pipeops0|pipeops-node|10\.213\.88\./.test(line))
      .join('\n')
  }
  return {
    rules: await read('iptables-save'),
    links: await read('ip', '-o', 'link'),
    routes: await read('ip', 'route', 'show', 'table', 'all'),
    namespaces: await read('ip', 'netns', 'list'),
    mounts: await read('cat', '/proc/mounts'),
    settings: await read(
      'sh',
      '-c',
      'cat /proc/sys/kernel/panic* /proc/sys/vm/overcommit_memory /proc/sys/net/ipv4/ip_forward',
    ),
    pods: await read('find', '/var/log/pods', '/var/log/containers', '/var/lib/kubelet'),
    groups: await read('find', '/sys/fs/cgroup', '-name', '*kubepods*'),
  }
}
