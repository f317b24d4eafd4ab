import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A mount as kubelet makes it: files are links through `..data`, which is swapped as a whole. */
export async function mountSecret(files: Record<string, string>) {
  const dir = await mkdtemp(join(tmpdir(), 'mount-'))
  let generation = 0
  async function swap(next: Record<string, string>): Promise<void> {
    const folder = `..${generation++}`
    await mkdir(join(dir, folder))
    for (const [name, text] of Object.entries(next)) await writeFile(join(dir, folder, name), text)
    await symlink(folder, join(dir, '..data_tmp'))
    await rename(join(dir, '..data_tmp'), join(dir, '..data'))
  }
  await swap(files)
  for (const name of Object.keys(files)) await symlink(`..data/${name}`, join(dir, name))
  return { dir, swap, [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) }
}
