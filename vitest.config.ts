import { defineConfig } from 'vitest/config'

// One project per workspace package, so that `nx test` runs and caches each by itself.
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'placeholder', include: [] } },
    ],
  },
})
