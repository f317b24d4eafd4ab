import type { Facts } from './script.testing.ts'

/** One environment and what the script must decide in it: the plan's steps, or the reason for a refusal. */
export type Environment = Planned | Refused
/** With a note: what the plan must explain besides. */
type Planned = { name: string; facts: Facts; plan: string[]; note?: RegExp }
type Refused = { name: string; facts: Facts; refused: RegExp }

export const vm = {
  os: 'linux',
  arch: 'amd64',
  root: 'yes',
  init: 'systemd',
  cpus: 4,
  token: 'given',
}
export const server: Facts = { ...vm, memory_mb: 16_000, disk_mb: 80_000 }
export const workstation: Facts = { ...server, root: 'no', docker: 'usable', terminal: 'yes' }
export const mac: Facts = { ...workstation, os: 'darwin', arch: 'arm64', init: 'none' }
export const wsl: Facts = { ...workstation, wsl: 2 }
export const withContext = { kubectl: 'yes', context: 'prod', context_reachable: 'yes' }

export const inside = (...contents: string[]) => ['fetch helm', ...contents]
export const gateway = ['gateway-api install', 'istio install requests=default']
export const small = ['gateway-api install', 'istio install requests=small']
export const agent = 'agent default-cluster monitoring=off'
export const rest = inside(...gateway, agent)
export const smallRest = inside(...small, agent)
export const k3s = 'create k3s traefik=off lxc=no'
export const k3d = ['fetch kubectl', 'fetch k3d', 'create k3d traefik=off']
export const kind = ['fetch kubectl', 'fetch kind', 'create kind']
export const minikube = (settings: string) => [
  'fetch kubectl',
  'fetch minikube',
  `create minikube ${settings}`,
]
