import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { renderConfiguration } from './render.ts'

test('docs/configuration.md says what the schemas say (else: npm run docs)', async () => {
  const file = join(import.meta.dirname, '../../../docs/configuration.md')
  expect(await readFile(file, 'utf8')).toBe(await renderConfiguration())
})

test('every setting has a description', async () => {
  expect(await renderConfiguration()).not.toMatch(/^\| `[A-Z_]+` \|\s*\|/m)
})
