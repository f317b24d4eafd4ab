import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import type { Kubeconfig } from '../api/kubeconfig.ts'
import { answerWith, startTestControlPlane } from '../control-plane.testing.ts'
import { runCtl } from './ctl.ts'

test('a kubeconfig leads to the public address of the control plane, however ctl reached it', async () => {
  const publicUrl = 'https://control-plane.example:9443'
  await using plane = await startTestControlPlane({ CONTROL_PLANE_PUBLIC_URL: `${publicUrl}/` })
  await plane.connectAgent('east', answerWith(200))
  const out = join(plane.dir, 'kubeconfig')
  const to = ['--url', plane.url, '--ca-file', join(plane.dir, 'ca.crt')]
  const as = ['--token-file', join(plane.dir, 'admin.token')]
  const what = ['kubeconfig', '--cluster', 'east', '--user', 'alice', '--out', out]
  await runCtl(['node', 'ctl', ...to, ...as, ...what])

  const { clusters, users } = JSON.parse(await readFile(out, 'utf8')) as Kubeconfig
  expect(clusters[0].cluster.server).toBe(`${publicUrl}/api/v1/clusters/agent/east/proxy`)
  const { 'certificate-authority-data': ca = '' } = clusters[0].cluster
  expect(Buffer.from(ca, 'base64').toString().trim()).toBe(plane.ca.trim())
  expect(users).toEqual([{ name: 'alice', user: { token: expect.stringMatching(/^pat_/) } }])
})
