import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'

import { type ImageArch, machineArch } from './architecture.ts'
import { createTar, type TarEntry, withParents } from './tar.ts'

const compress = promisify(zstdCompress)
const mediaType = (kind: string): string => `application/vnd.oci.image.${kind}`

/** One layer, packed; made once where several images share it. */
export type Layer = { diffId: string; blob: Blob; unpackedBytes: number }
type Blob = { digest: string; data: Buffer }

export type ImageOptions = {
  /** Full reference, as `localhost/agent:1`. */
  name: string
  /** This machine's by default. */
  arch?: ImageArch
  layers: Layer[]
  /** RFC 3339; the sources' date, never the clock. */
  created: string
  config: {
    User: string
    Env: string[]
    Entrypoint: string[]
    Cmd: string[]
    WorkingDir: string
    Labels: Record<string, string>
  }
}

/** An image in an archive that containerd, podman, skopeo and Docker import (OCI image layout 1.1). */
export type Image = {
  name: string
  /** Of the manifest, or of the index of several architectures; what a registry would call the image. */
  digest: string
  archive: Buffer
  /** What is transferred, and what it takes on a node's disk. */
  packedBytes: number
  unpackedBytes: number
  /** What the archive's index points at, and all that it leads to. */
  entry: Descriptor
  blobs: Blob[]
}
type Descriptor = {
  mediaType: string
  digest: string
  size: number
  platform?: { architecture: ImageArch; os: 'linux' }
}

/**
 * Packs a layer. With zstd, because its bytes follow from its input and version alone; zlib's fast paths differ from one
 * processor to the next.
 */
export async function createLayer(entries: TarEntry[]): Promise<Layer> {
  const tar = createTar(withParents(entries))
  const params = { [constants.ZSTD_c_compressionLevel]: 9 }
  return {
    diffId: digestOf(tar),
    blob: toBlob(await compress(tar, { params })),
    unpackedBytes: tar.length,
  }
}

/** Joins layers and configuration into one archive; equal options, equal bytes. */
export function createImage(options: ImageOptions): Image {
  const { name, arch = machineArch, layers, created, config } = options
  const platform = { architecture: arch, os: 'linux' as const }
  const configBlob = toJsonBlob({
    ...platform,
    created,
    config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created, created_by: 'tools/image' })),
  })
  const manifest = toJsonBlob({
    schemaVersion: 2,
    mediaType: mediaType('manifest.v1+json'),
    config: describe(mediaType('config.v1+json'), configBlob),
    layers: layers.map(({ blob }) => describe(mediaType('layer.v1.tar+zstd'), blob)),
    annotations: config.Labels,
  })
  const entry = { ...describe(mediaType('manifest.v1+json'), manifest), platform }
  const blobs = [...layers.map(({ blob }) => blob), configBlob, manifest]
  const unpackedBytes = layers.reduce((total, layer) => total + layer.unpackedBytes, 0)
  return pack({ name, entry, blobs, unpackedBytes })
}

/** One archive of the same image for several architectures: who pulls or imports it takes his. */
export function joinImages(images: Image[]): Image {
  const index = toJsonBlob({
    schemaVersion: 2,
    mediaType: mediaType('index.v1+json'),
    manifests: images.map(({ entry }) => entry),
  })
  return pack({
    name: images[0]?.name ?? '',
    entry: describe(mediaType('index.v1+json'), index),
    blobs: [...images.flatMap(({ blobs }) => blobs), index],
    unpackedBytes: images.reduce((total, image) => total + image.unpackedBytes, 0),
  })
}

function pack(image: Pick<Image, 'name' | 'entry' | 'blobs' | 'unpackedBytes'>): Image {
  const { name, entry, blobs } = image
  const index = {
    schemaVersion: 2,
    mediaType: mediaType('index.v1+json'),
    manifests: [
      {
        ...entry,
        annotations: {
          'io.containerd.image.name': name,
          'org.opencontainers.image.ref.name': name.slice(name.lastIndexOf(':') + 1),
        },
      },
    ],
  }
  const files = new Map(blobs.map((blob) => [blobPath(blob), blob.data]))
  const archive = createTar([
    { path: 'oci-layout', data: Buffer.from('{"imageLayoutVersion":"1.0.0"}') },
    { path: 'index.json', data: Buffer.from(JSON.stringify(index)) },
    ...withParents([...files].map(([path, data]) => ({ path, data }))),
  ])
  const packedBytes = [...files.values()].reduce((total, data) => total + data.length, 0)
  return { ...image, digest: entry.digest, archive, packedBytes }
}

function describe(mediaType: string, { digest, data }: Blob): Descriptor {
  return { mediaType, digest, size: data.length }
}

function blobPath({ digest }: Blob): string {
  return `blobs/${digest.replace(':', '/')}`
}

function toJsonBlob(value: object): Blob {
  return toBlob(Buffer.from(JSON.stringify(value)))
}

function toBlob(data: Buffer): Blob {
  return { digest: digestOf(data), data }
}

function digestOf(data: Uint8Array): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`
}
