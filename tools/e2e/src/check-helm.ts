import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { eventually } from '@agent/testing'

import type { Checks } from './checks.ts'
import type { Tunnel } from './tunnel.ts'
import { webApp } from './workload.ts'
import type { World } from './world.ts'

const release = ['guestbook', '-n', 'shop']

/** Somebody else's chart, installed by a Helm that knows only the control plane. */
export async function checkHelm(
  { check }: Checks,
  { dir, helm }: World,
  { kubeconfig, kubectl }: Tunnel,
): Promise<void> {
  await check(
    'helm install, upgrade and uninstall of another chart through the tunnel',
    async () => {
      const chart = join(dir, 'guestbook')
      await mkdir(join(chart, 'templates'), { recursive: true })
      const about = { apiVersion: 'v2', name: 'guestbook', version: '1.0.0' }
      await writeFile(join(chart, 'Chart.yaml'), JSON.stringify(about))
      await writeFile(join(chart, 'values.yaml'), 'note: first\n')
      const note = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'note', namespace: 'shop' },
        data: { note: '{{ .Values.note }}' },
      }
      const objects = [...webApp('guestbook', 'shop'), note]
      const template = objects.map((object) => JSON.stringify(object)).join('\n---\n')
      await writeFile(join(chart, 'templates/all.yaml'), template)

      const wait = ['--wait', '--timeout', '90s']
      await helm(['install', ...release.slice(0, 1), chart, ...release.slice(1), ...wait], {
        kubeconfig,
      })
      await helm(['upgrade', 'guestbook', chart, '-n', 'shop', ...wait, '--set', 'note=second'], {
        kubeconfig,
      })
      const path = ['get', 'configmap', 'note', '-n', 'shop', '-o', 'jsonpath={.data.note}']
      assert.equal(await kubectl(path), 'second')
      await helm(['uninstall', ...release, '--wait'], { kubeconfig })
      await eventually(
        async () => {
          const left = await kubectl(['get', 'all,configmaps', '-n', 'shop', '-o', 'name'])
          return !/guestbook|note/.test(left)
        },
        { deadlineMs: 60_000, what: 'its objects are gone' },
      )
    },
  )
}
