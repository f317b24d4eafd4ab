import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { root } from '@agent/bundle'

import { buildImages, writePackageSboms } from './images.ts'

const { values } = parseArgs({
  options: {
    prefix: { type: 'string', default: 'localhost/pipeops-' },
    tag: { type: 'string', default: 'dev' },
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
  const images = await buildImages({
    bundleDir: join(values.out, 'bundles'),
    prefix: values.prefix,
    tag: values.tag,
    progress: (line) => process.stderr.write(`${line}\n`),
  })
  await mkdir(values.out, { recursive: true })
  const mib = (bytes: number): string => `${(bytes / 1_048_576).toFixed(1)} MiB`
  for (const [kind, image] of Object.entries(images)) {
    const file = join(values.out, `${kind}.tar`)
    await writeFile(file, image.archive)
    process.stdout.write(
      `${image.name}  ${image.digest}\n  ${file}: ${mib(image.packedBytes)} packed, ${mib(image.unpackedBytes)} on disk\n`,
    )
  }
}
