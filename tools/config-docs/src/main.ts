import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { renderConfiguration } from './render.ts'

await writeFile(
  join(import.meta.dirname, '../../../docs/configuration.md'),
  await renderConfiguration(),
)
