/** `sidecars`: a process for each, on a nats-server. `edge`: all of them in one process. */
export type AgentProfile = 'sidecars' | 'edge'

/** Environment of single sidecars beyond what all need. */
export type SidecarEnvironment = Partial<
  Record<'link' | 'proxy' | 'console', Record<string, string>>
>

/** A process of the agent: its name, whose `main.ts` it runs, and its environment. */
export type AgentProcess = { name: string; app: string; env: Record<string, string> }

/** Which processes make up the agent. */
export function agentProcesses(
  profile: AgentProfile,
  proxies: number,
  env: Required<SidecarEnvironment>,
): AgentProcess[] {
  const { link, proxy, console } = env
  if (profile === 'edge') {
    const connections = { PROXY_CONNECTIONS: String(proxies) }
    return [{ name: 'edge', app: 'edge', env: { ...link, ...connections, ...proxy, ...console } }]
  }
  return [
    { name: 'link', app: 'link', env: link },
    ...Array.from({ length: proxies }, (_, index) => ({
      name: `proxy-${index + 1}`,
      app: 'proxy',
      env: proxy,
    })),
    { name: 'console', app: 'console', env: console },
  ]
}
