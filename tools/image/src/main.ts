import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { root } from '@agent/bundle'

import { imageArchs, machineArch } from './architecture.ts'
import { buildImages, type ImageKind, packImages, writePackageSboms } from './images.ts'
import { type Image, joinImages } from './oci.ts'

const { values } = parseArgs({
  options: {
    prefix: { type: 'string', default: 'localhost/pipeops-' },
    tag: { type: 'string', default: 'dev' },
    arch: { type: 'string', multiple: true },
    'sbom-only': { type: 'boolean', default: false },
    out: { type: 'string', default: join(root, 'dist/images') },
  },
})
if (values['sbom-only']) {
  await writePackageSboms(join(root, 'dist'))
} else {
  await build()
}

async function build(): Promise<void> {
  const unknown = values.arch?.find((arch) => !imageArchs.some((known) => known === arch))
  if (unknown !== undefined) throw new Error(`--arch ${unknown}: give ${imageArchs.join(' or ')}`)
  const archs = imageArchs.filter((arch) => (values.arch ?? [machineArch]).includes(arch))
  const options = {
    bundleDir: join(values.out, 'bundles'),
    prefix: values.prefix,
    tag: values.tag,
    progress: (line: string) => void process.stderr.write(`${line}\n`),
  }
  const built: Record<ImageKind, Image>[] = []
  for (const arch of archs) {
    // The bundles are the same for all.
    const buildOrPack = built.length === 0 ? buildImages : packImages
    built.push(await buildOrPack({ ...options, arch }))
  }
  await mkdir(values.out, { recursive: true })
  const suffix = values.arch === undefined ? '' : `-${archs.join('-')}`
  for (const kind of Object.keys(built[0] ?? {}) as ImageKind[]) {
    const images = built.map((each) => each[kind])
    for (const [index, image] of images.entries()) tell(image, archs[index] as string)
    const image = images.length === 1 ? (images[0] as Image) : joinImages(images)
    const file = join(values.out, `${kind}${suffix}.tar`)
    await writeFile(file, image.archive)
    process.stdout.write(`  ${file}${images.length === 1 ? '' : `  ${image.digest}`}\n`)
  }
}

function tell({ name, digest, packedBytes, unpackedBytes }: Image, arch: string): void {
  const mib = (bytes: number): string => `${(bytes / 1_048_576).toFixed(1)} MiB`
  process.stdout.write(
    `${name}  ${arch}  ${digest}  ${mib(packedBytes)} packed, ${mib(unpackedBytes)} on disk\n`,
  )
}
