import { join } from 'node:path'

import { CommonConfig, readConfig } from '@agent/sidecar'
import type * as z from 'zod'

import type { Container, Rendered } from './objects.ts'

const apps = join(import.meta.dirname, '../../../apps')
/** Set in a pod for people, for `$(…)`, for Node itself, or for `ctl`, which reads no schema. */
const readElsewhere = new Set([
  'PIPEOPS_POD_NAME',
  'PIPEOPS_POD_NAMESPACE',
  'PIPEOPS_NODE_NAME',
  'HTTPS_PROXY',
  'NO_PROXY',
  'CONTROL_PLANE_URL',
  'CONTROL_PLANE_CA_FILE',
  'CONTROL_PLANE_TOKEN_FILE',
])

/** A container's environment as its process will see it; what comes from a Secret or from the pod is left out. */
export function environmentOf(rendered: Rendered, container: Container): Record<string, string> {
  const known = (container.env ?? []).flatMap(({ name, value, valueFrom }) => {
    const source = valueFrom?.['configMapKeyRef']
    const text =
      source === undefined
        ? value
        : rendered.get('ConfigMap', source.name).data?.[source.key as string]
    return text === undefined ? [] : [[name, text] as const]
  })
  return Object.fromEntries(known)
}

/** Throws where the app would refuse this environment, or would not know a variable in it. */
export async function checkEnvironment(
  app: string,
  environment: Record<string, string>,
  fromElsewhere: readonly string[],
): Promise<void> {
  const hosted = app === 'edge' ? (environment['EDGE_SIDECARS'] ?? '').split(',') : []
  const cluster = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' }
  readConfig(CommonConfig, environment)
  const known = new Set(Object.keys(CommonConfig.shape))
  for (const each of [app, ...hosted]) {
    // Loaded by path: nothing may import an app, and this only reads its schema.
    const { Config } = (await import(join(apps, each, 'src/config.ts'))) as { Config: z.ZodObject }
    readConfig(Config, { ...cluster, ...environment })
    for (const name of Object.keys(Config.shape)) known.add(name)
  }
  const names = [...Object.keys(environment), ...fromElsewhere]
  const unknown = names.filter((name) => !known.has(name) && !readElsewhere.has(name))
  if (unknown.length > 0) throw new Error(`${app} does not know ${unknown.join(', ')}`)
}
