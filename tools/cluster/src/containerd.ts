import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { hostPath } from '@agent/toolbox'

import type { Children } from './children.ts'
import { findOnHost, run } from './node-host.ts'
import { folder, node, startMs, testImage } from './node-names.ts'

/** Starts containerd with a bridge network of its own; returns its socket. */
export async function startContainerd(children: Children, dir: string): Promise<string> {
  const [containerd = 'containerd', plugin = ''] = await Promise.all([
    findOnHost('containerd'),
    findOnHost('host-local'),
  ])
  const state = await folder(dir, 'containerd')
  const socket = join(state, 'containerd.sock')
  const cni = await folder(dir, 'cni')
  const network = {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge: node.bridge,
        isGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: node.podCidr }]],
          dataDir: join(dir, 'ipam'),
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  }
  await writeFile(join(cni, '10-pods.conflist'), JSON.stringify(network))
  const config = `version = 2
root = "${join(state, 'root')}"
state = "${join(state, 'state')}"
[grpc]
  address = "${socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${testImage}"
  # Without CAP_SYS_RESOURCE, runc may not lower an OOM score.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${dirname(plugin)}"
    conf_dir = "${cni}"
`
  const file = join(state, 'config.toml')
  await writeFile(file, config)
  await children.start('containerd', containerd, ['--config', file], {
    PATH: hostPath,
  })
  const deadline = performance.now() + startMs
  for (;;) {
    const isUp = await run('ctr', ['--address', socket, 'version']).then(
      () => true,
      () => false,
    )
    if (isUp) break
    if (performance.now() > deadline)
      throw new Error(`containerd did not start:\n${await children.tail('containerd')}`)
    await delay(100)
  }
  return socket
}
