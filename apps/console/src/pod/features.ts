import type { Config } from '../config.ts'
import type { PodView, SidecarView } from './pod-view.ts'

/** Something the agent can do: whether it is on here, and if not, why. */
export type Feature = { name: string; enabled: boolean; negotiated: boolean | null; reason: string }

export const offHere = 'turned off in this installation'

/** What is enabled in this pod and what the control plane agreed to. */
export function featuresOf(pod: Pick<PodView, 'best'>, config: Config): Feature[] {
  const link = pod.best('link')
  const proxy = pod.best('proxy')
  const agreed = streamsAgreed(link)
  const isCarried = isLive(proxy) && Number(proxy.facts.connections ?? 0) > 0
  const notCarried = isCarried ? '' : 'no stream connection is up'

  function bySidecar(name: string, sidecar: Config['CONSOLE_EXPECTS'][number]): Feature {
    const view = pod.best(sidecar)
    const isExpected = config.CONSOLE_EXPECTS.includes(sidecar)
    const reason =
      view === undefined
        ? isExpected
          ? `nothing was heard of the ${sidecar} sidecar yet`
          : offHere
        : view.isLost
          ? `the ${sidecar} sidecar is silent since ${view.lastSeen}`
          : ''
    return { name, enabled: isLive(view), negotiated: null, reason }
  }
  function bySwitch(name: string, enabled: boolean, variable: string): Feature {
    return { name, enabled, negotiated: null, reason: enabled ? '' : `${variable} is false` }
  }

  const kubernetesApi = bySidecar('kubernetes-api', 'proxy')
  const streams = bySidecar('streams-v2', 'link')
  return [
    // Its requests are streams.
    { ...kubernetesApi, negotiated: agreed, reason: kubernetesApi.reason || notCarried },
    {
      ...streams,
      negotiated: agreed,
      reason: streams.reason || notAgreed(link) || kubernetesApi.reason || notCarried,
    },
    bySidecar('heartbeats', 'link'),
    bySidecar('tunnel-forwards', 'tunnel'),
    bySidecar('route-sync', 'routes'),
    bySidecar('monitoring', 'monitoring'),
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

function isLive(view: SidecarView | undefined): view is SidecarView {
  return view !== undefined && !view.isLost
}

/** What the control plane answered at registration; null while there is no answer. */
function streamsAgreed(link: SidecarView | undefined): boolean | null {
  if (!isLive(link) || link.facts['registered'] !== true) return null
  return link.facts['streamsVersion'] === 2
}

function notAgreed(link: SidecarView | undefined): string {
  const agreed = streamsAgreed(link)
  if (agreed === null) return 'the agent is not registered'
  return agreed ? '' : 'the control plane does not speak this version'
}
