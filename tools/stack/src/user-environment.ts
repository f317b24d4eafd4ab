/** What the product's own processes are configured with: set by the stack alone. */
const ours = /^(PIPEOPS|BUS|HEALTH|PROXY|CONTROL_PLANE|CONSOLE|KUBERNETES|SHUTDOWN)_/
/** What belongs to the program that runs us. */
const runners = /^(npm_|NODE_OPTIONS$|INIT_CWD$)/i

/**
 * The environment of whoever runs this, for a cluster of their own: programs that a kubeconfig names to log in with
 * (aws, gcloud, …) need their profiles and proxies. The control plane on this machine is never dialled through a proxy.
 */
export function userEnvironment(
  environment: Record<string, string | undefined>,
): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !ours.test(name) && !runners.test(name)) kept[name] = value
  }
  const direct = [kept['no_proxy'] ?? kept['NO_PROXY'], 'localhost', '127.0.0.1']
  const without = direct.filter(Boolean).join(',')
  return { ...kept, NO_PROXY: without, no_proxy: without }
}
