import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { defineConfig } from 'vitest/config'

// One project per package: `vitest run --project @agent/streams` runs one, and Nx caches each by itself.
const root = import.meta.dirname
const projects = globSync('{apps/*,libs/*,tools/*,tests}/package.json', { cwd: root }).map(
  (path) => {
    const file = join(root, path)
    const { name } = JSON.parse(readFileSync(file, 'utf8')) as { name: string }
    return { extends: true as const, root: dirname(file), test: { name } }
  },
)

export default defineConfig({
  test: { projects, testTimeout: 30_000, hookTimeout: 180_000 },
})
