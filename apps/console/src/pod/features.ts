import type { Config } from '../config.ts'
import type { PodView } from './pod-view.ts'

/** Something the agent can do: whether it is on here, and if not, why. */
export type Feature = { name: string; enabled: boolean; negotiated: boolean | null; reason: string }

/** What is enabled in this pod and what the control plane agreed to. */
export function featuresOf(pod: Pick<PodView, 'best'>, config: Config): Feature[] {
  const link = pod.best('link')
  const proxy = pod.best('proxy')
  const isConnected = Number(proxy?.facts.connections ?? 0) > 0

  function bySidecar(name: string, sidecar: string, what: string): Feature {
    const view = pod.best(sidecar)
    const enabled = view !== undefined && !view.isLost
    const reason =
      view === undefined
        ? `no ${sidecar} sidecar runs in this pod, which ${what} would need`
        : view.isLost
          ? `the ${sidecar} sidecar is silent since ${view.lastSeen}`
          : ''
    return { name, enabled, negotiated: null, reason }
  }
  function bySwitch(name: string, enabled: boolean, variable: string): Feature {
    return { name, enabled, negotiated: null, reason: enabled ? '' : `${variable} is false` }
  }

  return [
    {
      ...bySidecar('kubernetes-api', 'proxy', 'the API server'),
      negotiated: isConnected,
    },
    {
      name: 'streams-v2',
      enabled: link !== undefined,
      negotiated: isConnected,
      reason: isConnected ? '' : 'no stream connection is up',
    },
    bySidecar('heartbeats', 'link', 'registration'),
    bySidecar('tunnel-forwards', 'tunnel', 'TCP and UDP forwarding'),
    bySidecar('route-sync', 'routes', 'Ingress and Gateway routes'),
    bySidecar('monitoring', 'monitoring', 'installing the monitoring stack'),
    bySwitch('sse', config.PIPEOPS_ENABLE_SSE, 'PIPEOPS_ENABLE_SSE'),
    bySwitch('websocket', config.PIPEOPS_ENABLE_WEBSOCKET, 'PIPEOPS_ENABLE_WEBSOCKET'),
    bySwitch('dashboard', config.PIPEOPS_ENABLE_DASHBOARD, 'PIPEOPS_ENABLE_DASHBOARD'),
    {
      name: 'console-auth',
      enabled: config.CONSOLE_AUTH === 'required',
      negotiated: null,
      reason: config.CONSOLE_AUTH === 'required' ? '' : 'CONSOLE_AUTH is none: anybody may read',
    },
  ]
}
