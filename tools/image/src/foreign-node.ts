import { join } from 'node:path'

import { cacheDir, type Progress } from '@agent/toolbox'

import type { ImageArch } from './architecture.ts'
import { fetchLibraries, type PackagedLibrary } from './debian.ts'
import { readElf } from './elf.ts'
import { openedByName, type SystemFile } from './node-files.ts'
import { fetchNode } from './npm-node.ts'

const packages = ['libc6', 'libgcc-s1', 'libstdc++6', 'libatomic1']

/** As `readNodeFiles`, for an architecture that this machine is not: Node from npm, its libraries from Debian. */
export async function readForeignNodeFiles(
  root: string,
  arch: ImageArch,
  progress: Progress,
): Promise<SystemFile[]> {
  const cache = join(cacheDir(), '../image')
  const node = await fetchNode({ root, arch, cache, progress })
  const libraries = await fetchLibraries({ arch, packages, cache, progress })
  const { interpreter } = readElf(node.data)
  if (interpreter === undefined) throw new Error(`the Node for ${arch} names no loader`)
  const loader = interpreter.slice(interpreter.lastIndexOf('/') + 1)
  const needed = [...collectNeeded(arch, node.data, libraries)]
  return [
    { path: 'usr/local/bin/node', mode: 0o755, ...node },
    ...needed.map(([name, library]) => ({
      // The loader lies where the program itself says that it is.
      path: name === loader ? interpreter.slice(1) : `usr/lib/${name}`,
      mode: 0o755,
      ...library,
    })),
  ]
}

/** What the program needs, what that needs, and what is opened by name; throws for what is in no package. */
function collectNeeded(
  arch: ImageArch,
  program: Buffer,
  libraries: Map<string, PackagedLibrary>,
): Map<string, PackagedLibrary> {
  const collected = new Map<string, PackagedLibrary>()
  const waiting = [...libraries.keys()].filter((name) => openedByName.test(name))
  waiting.push(...readElf(program).needed)
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (collected.has(name)) continue
    const library = libraries.get(name)
    if (library === undefined) {
      throw new Error(`Node for ${arch} needs ${name}, which is not in ${packages.join(', ')}`)
    }
    const elf = readElf(library.data)
    if (elf.arch !== arch) throw new Error(`${name} is for ${elf.arch}, not for ${arch}`)
    collected.set(name, library)
    waiting.push(...elf.needed)
  }
  return collected
}
