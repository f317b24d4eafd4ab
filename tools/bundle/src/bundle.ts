import { cp, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { build } from 'esbuild'

import { readRevision } from './revision.ts'

/** The repository's root. */
export const root = join(import.meta.dirname, '../../..')

const entries = {
  link: 'apps/link/src/main.ts',
  proxy: 'apps/proxy/src/main.ts',
  console: 'apps/console/src/main.ts',
  edge: 'apps/edge/src/main.ts',
  doctor: 'apps/console/src/doctor/main.ts',
  'control-plane': 'apps/control-plane/src/main.ts',
  ctl: 'apps/control-plane/src/ctl.ts',
}
const assetsDir = 'apps/console/src/assets'

/** Bundles every app into one ESM file in `dir`, and copies the console's assets beside them. */
export async function bundleAll(
  say: (line: string) => void,
  dir: string = join(root, 'dist'),
): Promise<void> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    version: string
  }
  const revision = await readRevision(root)
  for (const [name, entry] of Object.entries(entries)) {
    const outfile = join(dir, `${name}.mjs`)
    await build({
      entryPoints: [join(root, entry)],
      outfile,
      bundle: true,
      platform: 'node',
      target: 'node26',
      format: 'esm',
      minify: true,
      sourcemap: true,
      define: {
        AGENT_VERSION: JSON.stringify(version),
        ...(revision === undefined
          ? {}
          : {
              AGENT_COMMIT: JSON.stringify(revision.commit),
              AGENT_BUILD_DATE: JSON.stringify(revision.date),
            }),
      },
      // Bundled CommonJS packages call require.
      banner: {
        js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);",
      },
      logLevel: 'warning',
    })
    const { size } = await stat(outfile)
    say(`${name}.mjs  ${(size / 1_024).toFixed(0)} KiB`)
  }
  await rm(join(dir, 'assets'), { recursive: true, force: true })
  await cp(join(root, assetsDir), join(dir, 'assets'), { recursive: true })
}
