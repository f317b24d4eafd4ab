import { cp, readFile, rm, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'

import { build, type BuildOptions, type Plugin } from 'esbuild'

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
/** How a program becomes one file for the pinned Node. */
export const bundleOptions = {
  bundle: true,
  platform: 'node',
  target: 'node26',
  format: 'esm',
  minify: true,
  // Bundled CommonJS packages call require.
  banner: {
    js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);",
  },
  logLevel: 'warning',
} satisfies BuildOptions
/** V8 keeps the text of a bundle, and every module of it that ran: what is not needed, or is there twice, costs memory. */
const lean: Plugin = {
  name: 'lean',
  setup({ onResolve }) {
    // Large, and only read where a kubeconfig is.
    onResolve({ filter: /^@kubernetes\/client-node$/ }, () => ({
      path: './client-node.mjs',
      external: true,
    }))
    // npm gives each workspace a copy of its own, because another version stands at the root.
    const { resolve } = createRequire(join(root, 'libs/kube/package.json'))
    onResolve({ filter: /^undici$/ }, () => ({ path: resolve('undici') }))
  },
}
const clientNode = {
  contents: "export { KubeConfig } from '@kubernetes/client-node'",
  resolveDir: join(root, 'libs/kube'),
}
const assetsDir = 'apps/console/src/assets'

/** Bundles every app into one ESM file in `dir`, client-node beside them, and copies the console's assets there. */
export async function bundleAll(
  say: (line: string) => void,
  dir: string = join(root, 'dist'),
): Promise<void> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    version: string
  }
  const revision = await readRevision(root)
  const bundles: [string, BuildOptions][] = [
    ...Object.entries(entries).map(([name, entry]): [string, BuildOptions] => [
      name,
      { entryPoints: [join(root, entry)], plugins: [lean] },
    ]),
    ['client-node', { stdin: clientNode }],
  ]
  for (const [name, input] of bundles) {
    const outfile = join(dir, `${name}.mjs`)
    await build({
      ...input,
      outfile,
      ...bundleOptions,
      sourcemap: true,
      // In a file beside: one letter beyond Latin-1's first half makes V8 keep a source with two bytes for each of its.
      legalComments: 'linked',
      define: {
        AGENT_VERSION: JSON.stringify(version),
        ...(revision === undefined
          ? {}
          : {
              AGENT_COMMIT: JSON.stringify(revision.commit),
              AGENT_BUILD_DATE: JSON.stringify(revision.date),
            }),
      },
    })
    const { size } = await stat(outfile)
    say(`${name}.mjs  ${(size / 1_024).toFixed(0)} KiB`)
  }
  await rm(join(dir, 'assets'), { recursive: true, force: true })
  await cp(join(root, assetsDir), join(dir, 'assets'), { recursive: true })
}
