import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { ensureProgram } from './programs.testing.ts'

const run = promisify(execFile)
const runMs = 120_000

/** What buildah says of an image. */
export type Built = {
  /** Of the manifest. */
  digest: string
  config: {
    User: string
    Env: string[]
    Entrypoint: string[]
    Cmd: string[]
    Labels: Record<string, string>
  }
}

/** buildah with storage of its own below `dir`, whatever file system that is on; the machine's images stay as they are. */
export async function createBuildah(dir: string) {
  const program = await ensureProgram('buildah', 'buildah')
  const storage = ['--root', join(dir, 'storage'), '--runroot', join(dir, 'run')]
  await mkdir(join(dir, 'tmp'), { recursive: true })
  async function buildah(...args: string[]): Promise<string> {
    const { stdout } = await run(program, [...storage, '--storage-driver', 'vfs', ...args], {
      // Neither a person's settings nor his credentials.
      env: { PATH: process.env['PATH'], HOME: dir, TMPDIR: join(dir, 'tmp') },
      timeout: runMs,
      maxBuffer: 2 ** 24,
    })
    return stdout.trim()
  }
  return {
    /** Builds a target of a Dockerfile, and nothing from a cache; `name` is what it is called then. */
    async build(name: string, context: string, args: string[]): Promise<Built> {
      await buildah('build', '--isolation', 'chroot', '--no-cache', '--tag', name, ...args, context)
      const { FromImageDigest, OCIv1 } = JSON.parse(
        await buildah('inspect', '--type', 'image', name),
      ) as { FromImageDigest: string; OCIv1: { config: Built['config'] } }
      return { digest: FromImageDigest, config: OCIv1.config }
    },
    /** Takes an image out of an archive as a registry's client would for `arch`; answers with its identity. */
    async pull(archive: string, arch: string): Promise<string> {
      return buildah('pull', '--quiet', '--arch', arch, `oci-archive:${archive}`)
    },
    /** The folder with what is in an image. */
    async open(name: string): Promise<string> {
      return buildah('mount', await buildah('from', '--pull-never', name))
    },
  }
}
