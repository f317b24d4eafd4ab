import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { manifestsDir, openHelm } from './helm.ts'
import { manifests, renderManifest } from './manifests.ts'

const helm = await openHelm((message) => process.stderr.write(`${message}\n`))
await mkdir(manifestsDir, { recursive: true })
for (const manifest of manifests) {
  await writeFile(join(manifestsDir, manifest.file), await renderManifest(helm, manifest))
  process.stdout.write(`deploy/manifests/${manifest.file}\n`)
}
