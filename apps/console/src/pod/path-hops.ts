import { offHere } from './features.ts'
import type { PodView, SidecarView } from './pod-view.ts'

/** One leg of a request's way, for the picture. */
export type HopView = {
  id: 'control-plane' | 'connection' | 'proxy' | 'api-server' | 'link' | 'bus'
  name: string
  /** `unknown` where something before it keeps us from knowing, `off` where this installation does without it. */
  state: 'ok' | 'warn' | 'down' | 'unknown' | 'off'
  latencyMs: number | null
  /** One sentence: what is there, or what is wrong. */
  text: string
}

/** Which sidecar a hop stands and falls with. */
const carriers: Partial<Record<HopView['id'], 'link' | 'proxy'>> = {
  'control-plane': 'link',
  connection: 'proxy',
  proxy: 'proxy',
  'api-server': 'proxy',
  link: 'link',
}
const turnedOff = { state: 'off', latencyMs: null, text: offHere } as const

/** The way of a request and of control, hop by hop, as the sidecars see it now. */
export function hopsOf(
  pod: Pick<PodView, 'best' | 'sidecars'>,
  bus: { connected: boolean; latencyMs: number | null },
  expects: readonly string[],
): HopView[] {
  const link = pod.best('link')
  const proxy = pod.best('proxy')
  const linkLives = link !== undefined && !link.isLost
  const proxyLives = proxy !== undefined && !proxy.isLost
  const connections = proxyLives ? Number(proxy.facts.connections ?? 0) : 0
  const apiIsDown = proxyLives && /hop: api-server/.test(proxy.reason)
  const runs = {
    link: linkLives || expects.includes('link'),
    proxy: proxyLives || expects.includes('proxy'),
  }

  const hops = [
    {
      id: 'control-plane',
      name: 'Control plane',
      ...(linkLives && link.facts.connected === true
        ? fine(
            number(link.facts.beatMs),
            `${text(link.facts.controlPlane)} acknowledges heartbeats`,
          )
        : connections > 0
          ? { state: 'warn', latencyMs: null, text: 'streams flow, but link is not connected' }
          : { state: 'down', latencyMs: null, text: why(link, 'link') }),
    },
    {
      id: 'connection',
      name: 'Stream connection',
      ...(connections > 0
        ? fine(
            number(proxy?.facts.rttMs),
            `${connections} up, carrying ${text(proxy?.facts.streams)}`,
          )
        : { state: 'down', latencyMs: null, text: why(proxy, 'proxy') }),
    },
    {
      id: 'proxy',
      name: 'Proxy',
      ...(proxyLives
        ? {
            state: proxy.state === 'ok' || apiIsDown ? 'ok' : 'warn',
            latencyMs: number(proxy.facts.canaryMs),
            text: apiIsDown ? 'connected; what is behind it does not answer' : proxyText(proxy),
          }
        : { state: 'down', latencyMs: null, text: why(proxy, 'proxy') }),
    },
    {
      id: 'api-server',
      name: 'API server',
      ...(apiIsDown
        ? { state: 'down', latencyMs: null, text: proxy.reason }
        : proxyLives && typeof proxy.facts.apiServerMs === 'number'
          ? fine(proxy.facts.apiServerMs, `Kubernetes ${text(link?.facts.kubernetesVersion)}`)
          : { state: 'unknown', latencyMs: null, text: 'not tried: no canary came through' }),
    },
    {
      id: 'link',
      name: 'Link',
      ...(linkLives && link.state === 'ok'
        ? fine(number(link.facts.beatMs), `registered as ${text(link.facts.clusterName)}`)
        : { state: linkLives ? 'warn' : 'down', latencyMs: null, text: why(link, 'link') }),
    },
    {
      id: 'bus',
      name: 'Bus',
      ...(bus.connected
        ? fine(bus.latencyMs, 'sidecars talk to each other')
        : { state: 'down', latencyMs: null, text: 'the pod’s nats-server is away' }),
    },
  ] satisfies HopView[]
  return hops.map((hop) => {
    const sidecar = carriers[hop.id]
    return sidecar === undefined || runs[sidecar] ? hop : { ...hop, ...turnedOff }
  })
}

function fine(latencyMs: number | null, words: string) {
  return { state: 'ok' as const, latencyMs, text: words }
}

function proxyText({ reason, facts }: SidecarView): string {
  return reason === '' ? `the canary came back, ${text(facts.requests)} requests so far` : reason
}

function why(view: SidecarView | undefined, name: string): string {
  if (view === undefined) return `nothing was heard of the ${name} sidecar`
  if (view.isLost) return `the ${name} sidecar is silent since ${view.lastSeen}`
  return view.reason === '' ? `${name} is ${view.state}` : view.reason
}

function number(value: unknown): number | null {
  return typeof value === 'number' ? value : null
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : 'unknown'
}
