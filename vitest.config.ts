import { globSync } from 'node:fs'
import { dirname } from 'node:path'

import { defineConfig } from 'vitest/config'

// One project per package: `vitest run --project @agent/streams` runs one, and Nx caches each by itself.
export default defineConfig({
  test: {
    projects: globSync('{apps/*,libs/*,tools/*,tests}/package.json').map(dirname),
    testTimeout: 20_000,
    hookTimeout: 180_000,
  },
})
