import type { ApiServer } from '@agent/kube'

import type { Config } from './config.ts'
import { createFileState } from './state-file.ts'
import { createKubernetesState } from './state-kubernetes.ts'
import type { StateStore } from './state.ts'

/** The store that the configuration names: the cluster's own inside a cluster, a file outside. */
export async function openStateStore(config: Config, api: ApiServer): Promise<StateStore> {
  const isInCluster = config.KUBERNETES_SERVICE_HOST !== undefined
  const kind =
    config.PIPEOPS_STATE === 'auto' ? (isInCluster ? 'kubernetes' : 'file') : config.PIPEOPS_STATE
  if (kind === 'file') {
    const file = config.PIPEOPS_STATE_FILE
    return createFileState(file, config.PIPEOPS_STATE_KEY_FILE ?? `${file}.key`)
  }
  return createKubernetesState(api, {
    namespace: config.PIPEOPS_STATE_NAMESPACE,
    configMap: config.PIPEOPS_STATE_CONFIGMAP_NAME,
    secret: config.PIPEOPS_STATE_SECRET_NAME,
  })
}
