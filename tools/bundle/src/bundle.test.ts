import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { bundleAll } from './bundle.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pipeops-bundle-'))
  await bundleAll(() => {}, dir)
}, 60_000)
afterAll(() => rm(dir, { recursive: true, force: true }))

test('the sidecars’ bundles are small, and V8 keeps their text with one byte a letter', async () => {
  for (const name of ['link', 'proxy', 'console', 'edge', 'doctor']) {
    const bytes = await readFile(join(dir, `${name}.mjs`))
    expect([name, bytes.findIndex((byte) => byte > 0x7f)]).toEqual([name, -1])
    // With client-node, or two copies of undici, it would be 2 MB and more.
    expect([name, bytes.length < 1_600_000]).toEqual([name, true])
  }
})

test('the licences of what is inside lie beside the bundles', async () => {
  const names = await readdir(dir)
  for (const name of names.filter((each) => each.endsWith('.mjs'))) {
    expect(names).toContain(`${name}.LEGAL.txt`)
  }
})

test('a bundle alone in a folder reads a kubeconfig', async () => {
  const kubeconfig = join(dir, 'kubeconfig')
  await writeFile(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
      users: [{ name: 'u', user: { token: 'of-a-person' } }],
      contexts: [{ name: 'mine', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'mine',
    }),
  )
  const said = await runEdge({
    PIPEOPS_KUBECONFIG: kubeconfig,
    PIPEOPS_KUBE_CONTEXT: 'other',
  })
  expect(said).toContain('has no context other; it has mine')
})

/** Runs the proxy, on no bus but its own, with settings that end it; returns what it said. */
function runEdge(env: Record<string, string>): Promise<string> {
  const hosted = { EDGE_SIDECARS: 'proxy', HEALTH_HOST: '127.0.0.1', HEALTH_PORT: '0' }
  const program = [join(dir, 'edge.mjs')]
  return new Promise((resolve) => {
    execFile(process.execPath, program, { env: { ...hosted, ...env } }, (_error, out, err) =>
      resolve(out + err),
    )
  })
}
