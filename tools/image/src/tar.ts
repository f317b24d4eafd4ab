const blockBytes = 512

/** What goes into an archive; a folder's path ends with a slash. */
export type TarEntry = {
  path: string
  mode?: number
  data?: Uint8Array
  /** User and group; root by default. */
  owner?: number
  /** Makes it a symbolic link. */
  target?: string
}

/**
 * A tar archive (POSIX ustar) that depends on nothing but its entries: sorted, without times. Throws for a path that
 * ustar has no room for.
 */
export function createTar(entries: TarEntry[]): Buffer {
  const parts: Uint8Array[] = []
  const sorted = entries.toSorted((a, b) => (a.path < b.path ? -1 : 1))
  for (const entry of sorted) {
    const data = entry.data ?? new Uint8Array()
    parts.push(header(entry, data.length), data)
    parts.push(new Uint8Array((blockBytes - (data.length % blockBytes)) % blockBytes))
  }
  parts.push(new Uint8Array(2 * blockBytes))
  return Buffer.concat(parts)
}

/** Every folder above the entries, which image tools expect to be there. */
export function withParents(entries: TarEntry[]): TarEntry[] {
  const paths = new Set(entries.map(({ path }) => path))
  const parents = new Set<string>()
  for (const { path } of entries) {
    const names = path.split('/').filter(Boolean).slice(0, -1)
    for (const index of names.keys()) parents.add(`${names.slice(0, index + 1).join('/')}/`)
  }
  const missing = [...parents].filter((path) => !paths.has(path))
  return [...entries, ...missing.map((path) => ({ path }))]
}

function header({ path, mode, target, owner = 0 }: TarEntry, size: number): Buffer {
  const isFolder = path.endsWith('/')
  const block = Buffer.alloc(blockBytes)
  if (Buffer.byteLength(path) > 100 || Buffer.byteLength(target ?? '') > 100) {
    throw new Error(`${path}: too long for a tar archive`)
  }
  const octal = (value: number, at: number, length: number): void =>
    void block.write(value.toString(8).padStart(length - 1, '0'), at)
  block.write(path, 0)
  octal(mode ?? (isFolder ? 0o755 : 0o644), 100, 8)
  octal(owner, 108, 8)
  octal(owner, 116, 8)
  octal(size, 124, 12)
  octal(0, 136, 12)
  block.write(' '.repeat(8), 148)
  block.write(isFolder ? '5' : target === undefined ? '0' : '2', 156)
  block.write(target ?? '', 157)
  block.write('ustar\x0000', 257)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}
