import type { ImageArch } from './architecture.ts'

const machines = new Map<number, ImageArch>([
  [62, 'amd64'],
  [183, 'arm64'],
])
const segment = { load: 1, dynamic: 2, interpreter: 3 }
const tag = { end: 0, needed: 1, strings: 5 }

/** What a program or a library wants to be there when it starts. */
export type Elf = {
  arch: ImageArch
  /** The loader's path; only a program names one. */
  interpreter: string | undefined
  /** Libraries by name; what these need comes on top. */
  needed: string[]
}

/** Reads a dynamically linked file (System V gABI: ELF64, little-endian); throws for one that is neither amd64 nor arm64. */
export function readElf(file: Buffer): Elf {
  const isElf64 = file.length > 64 && file.readUInt32BE(0) === 0x7f454c46 && file[4] === 2
  const arch = isElf64 && file[5] === 1 ? machines.get(file.readUInt16LE(18)) : undefined
  if (arch === undefined) throw new Error('not a program or library of amd64 or arm64')
  const segments = readSegments(file)
  const interpreter = segments.find(({ type }) => type === segment.interpreter)
  const dynamic = readDynamic(file, segments)
  const strings = dynamic.find(([key]) => key === tag.strings)?.[1]
  const names = dynamic.filter(([key]) => key === tag.needed)
  return {
    arch,
    interpreter: interpreter === undefined ? undefined : readString(file, interpreter.offset),
    needed: names.map(([, at]) => readString(file, toOffset(segments, (strings ?? 0) + at))),
  }
}

type Segment = { type: number; offset: number; address: number; bytes: number }

function readSegments(file: Buffer): Segment[] {
  const start = Number(file.readBigUInt64LE(32))
  const bytesEach = file.readUInt16LE(54)
  return Array.from({ length: file.readUInt16LE(56) }, (_, index) => {
    const at = start + index * bytesEach
    return {
      type: file.readUInt32LE(at),
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: Number(file.readBigUInt64LE(at + 16)),
      bytes: Number(file.readBigUInt64LE(at + 32)),
    }
  })
}

function readDynamic(file: Buffer, segments: Segment[]): [key: number, value: number][] {
  const { offset, bytes } = segments.find(({ type }) => type === segment.dynamic) ?? {
    offset: 0,
    bytes: 0,
  }
  const entries: [number, number][] = []
  for (let at = offset; at < offset + bytes; at += 16) {
    const key = Number(file.readBigInt64LE(at))
    if (key === tag.end) break
    entries.push([key, Number(file.readBigUInt64LE(at + 8))])
  }
  return entries
}

/** Where in the file lies what a running program finds at an address. */
function toOffset(segments: Segment[], address: number): number {
  const holder = segments.find(
    ({ type, address: start, bytes }) =>
      type === segment.load && address >= start && address < start + bytes,
  )
  if (holder === undefined) throw new Error('a damaged program or library')
  return holder.offset + address - holder.address
}

function readString(file: Buffer, at: number): string {
  return file.toString('latin1', at, file.indexOf(0, at))
}
