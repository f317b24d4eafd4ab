import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { build } from 'esbuild'

const root = join(import.meta.dirname, '../../..')
const entries: Record<string, string> = {
  link: 'apps/link/src/main.ts',
  proxy: 'apps/proxy/src/main.ts',
  'control-plane': 'apps/control-plane/src/main.ts',
  ctl: 'apps/control-plane/src/ctl.ts',
}

/** Bundles every app into one ESM file below `dist/`. */
export async function bundleAll(say: (line: string) => void): Promise<void> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    version: string
  }
  for (const [name, entry] of Object.entries(entries)) {
    const outfile = join(root, 'dist', `${name}.mjs`)
    await build({
      entryPoints: [join(root, entry)],
      outfile,
      bundle: true,
      platform: 'node',
      target: 'node26',
      format: 'esm',
      minify: true,
      sourcemap: true,
      define: { AGENT_VERSION: JSON.stringify(version) },
      // Bundled CommonJS packages call require.
      banner: {
        js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);",
      },
      logLevel: 'warning',
    })
    const { size } = await stat(outfile)
    say(`dist/${name}.mjs  ${(size / 1_024).toFixed(0)} KiB`)
  }
}
