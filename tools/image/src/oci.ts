import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'

import { createTar, type TarEntry, withParents } from './tar.ts'

const compress = promisify(zstdCompress)
const mediaType = (kind: string): string => `application/vnd.oci.image.${kind}`

/** One layer, packed; made once where several images share it. */
export type Layer = { diffId: string; blob: Blob; unpackedBytes: number }
type Blob = { digest: string; data: Buffer }

export type ImageOptions = {
  /** Full reference, as `localhost/agent:1`. */
  name: string
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
  /** Of the manifest; what a registry would call the image. */
  digest: string
  archive: Buffer
  /** What is transferred, and what it takes on a node's disk. */
  packedBytes: number
  unpackedBytes: number
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
export function createImage({ name, layers, created, config }: ImageOptions): Image {
  const configBlob = toJsonBlob({
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
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
  const index = {
    schemaVersion: 2,
    mediaType: mediaType('index.v1+json'),
    manifests: [
      {
        ...describe(mediaType('manifest.v1+json'), manifest),
        annotations: {
          'io.containerd.image.name': name,
          'org.opencontainers.image.ref.name': name.slice(name.lastIndexOf(':') + 1),
        },
      },
    ],
  }
  const blobs = [...layers.map(({ blob }) => blob), configBlob, manifest]
  const files = new Map(blobs.map((blob) => [blobPath(blob), blob.data]))
  const archive = createTar([
    { path: 'oci-layout', data: Buffer.from('{"imageLayoutVersion":"1.0.0"}') },
    { path: 'index.json', data: Buffer.from(JSON.stringify(index)) },
    ...withParents([...files].map(([path, data]) => ({ path, data }))),
  ])
  return {
    name,
    digest: manifest.digest,
    archive,
    packedBytes: blobs.reduce((total, { data }) => total + data.length, 0),
    unpackedBytes: layers.reduce((total, { unpackedBytes }) => total + unpackedBytes, 0),
  }
}

function describe(mediaType: string, { digest, data }: Blob) {
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
