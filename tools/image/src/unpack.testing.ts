import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { zstdDecompressSync } from 'node:zlib'

import type { Image } from './oci.ts'

const run = promisify(execFile)
const runMs = 25_000
type Manifest = { config: { digest: string }; layers: { digest: string }[] }
type ImageConfig = {
  architecture: string
  created: string
  config: {
    User: string
    Labels: Record<string, string>
    Env: string[]
    Entrypoint: string[]
    Cmd: string[]
  }
}

export type Unpacked = AsyncDisposable & { root: string; config: ImageConfig }

/** Unpacks an archive with the system's tar, which knows nothing of ours; layers go to `root`. */
export async function unpack(image: Image): Promise<Unpacked> {
  const dir = await mkdtemp(join(tmpdir(), 'pipeops-unpack-'))
  const archive = join(dir, 'image.tar')
  await writeFile(archive, image.archive)
  await run('tar', ['-xf', archive, '-C', dir])
  const blob = (digest: string) => readFile(join(dir, 'blobs', digest.replace(':', '/')))
  const index = JSON.parse(await readFile(join(dir, 'index.json'), 'utf8')) as {
    manifests: { digest: string }[]
  }
  const manifest = JSON.parse(String(await blob(index.manifests[0]?.digest as string))) as Manifest
  const config = JSON.parse(String(await blob(manifest.config.digest))) as ImageConfig
  const root = join(dir, 'root')
  await mkdir(root)
  for (const { digest } of manifest.layers) {
    const layer = join(dir, 'layer.tar')
    await writeFile(layer, zstdDecompressSync(await blob(digest)))
    await run('tar', ['-xpf', layer, '-C', root])
  }
  return { root, config, [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) }
}

/** Runs a command as the image's user, with its root and nothing else; it is told to end when it has said `until`. */
export async function runInside(
  root: string,
  command: string[],
  { env = {}, until }: { env?: Record<string, string>; until?: string } = {},
): Promise<{ code: number | null; output: string }> {
  const child = spawn('/usr/sbin/chroot', ['--userspec=1000:1000', root, ...command], {
    env: { PATH: '/usr/local/bin:/usr/sbin:/usr/bin:/bin', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: runMs,
    killSignal: 'SIGKILL',
  })
  const closed = once(child, 'close') as Promise<[number | null]>
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk
      // Once: a second signal would not let it end in order.
      if (until !== undefined && !child.killed && output.includes(until)) child.kill()
    })
  }
  const [code] = await closed
  return { code, output }
}
