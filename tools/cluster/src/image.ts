import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFile, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Commands of the test image; all of them are busybox. */
const applets = [
  'sh',
  'cat',
  'ls',
  'tar',
  'head',
  'sleep',
  'echo',
  'true',
  'false',
  'dd',
  'wc',
  'stty',
  'nc',
  'httpd',
  'sha256sum',
  'printf',
  'seq',
  'tail',
  'id',
  'kill',
  'cut',
  'yes',
]

/** Writes a docker archive with one image made of busybox, which containerd can import. */
export async function writeTestImage(options: {
  busybox: string
  dir: string
  tag: string
}): Promise<string> {
  const { busybox, dir, tag } = options
  const root = join(dir, 'rootfs')
  await rm(root, { recursive: true, force: true })
  for (const folder of ['bin', 'tmp', 'etc', 'www', 'proc', 'sys', 'dev']) {
    await mkdir(join(root, folder), { recursive: true })
  }
  await copyFile(busybox, join(root, 'bin', 'busybox'))
  for (const name of applets) await symlink('busybox', join(root, 'bin', name))
  await writeFile(
    join(root, 'etc', 'passwd'),
    'root:x:0:0:root:/:/bin/sh\nnobody:x:1000:1000::/:/bin/sh\n',
  )
  await writeFile(join(root, 'www', 'index.html'), 'hello from a real container\n')
  const layer = join(dir, 'layer.tar')
  await run('tar', ['-C', root, '--owner=0', '--group=0', '-cf', layer, '.'])
  const diffId = `sha256:${createHash('sha256')
    .update(await readFile(layer))
    .digest('hex')}`
  const config = JSON.stringify({
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: { Env: ['PATH=/bin'], Cmd: ['/bin/sleep', '2147483647'] },
    rootfs: { type: 'layers', diff_ids: [diffId] },
  })
  await writeFile(join(dir, 'config.json'), config)
  const manifest = [{ Config: 'config.json', RepoTags: [tag], Layers: ['layer.tar'] }]
  await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest))
  const archive = join(dir, 'image.tar')
  await run('tar', ['-C', dir, '-cf', archive, 'manifest.json', 'config.json', 'layer.tar'])
  return archive
}
