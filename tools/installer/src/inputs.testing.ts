import {
  type Environment,
  agent,
  gateway,
  inside,
  k3d,
  k3s,
  rest,
  server,
  workstation,
} from './environment.testing.ts'

/** A proxy, and what people type that cannot be, and what follows. */
export const inputs: Environment[] = [
  // Behind a proxy
  {
    name: 'a proxy, and hosts that need none',
    facts: { ...server, proxy: 'http://proxy.corp:3128', no_proxy: '10.0.0.0/8,*.corp' },
    plan: [
      k3s,
      ...inside(...gateway, `${agent} proxy=http://proxy.corp:3128 no_proxy=10.0.0.0/8,*.corp`),
    ],
  },
  {
    name: 'a proxy with a password: the agent is not told on a command line',
    facts: { ...server, proxy: 'password' },
    plan: [k3s, ...rest],
    note: /HTTPS_PROXY holds a password.*--values FILE .*secretKeyRef/,
  },
  {
    name: 'a proxy on this machine alone: no pod would reach it',
    facts: { ...workstation, proxy: 'http://127.0.0.1:8888' },
    plan: [...k3d, ...rest],
    note: /address of this machine alone/,
  },
  {
    name: 'a proxy that is none for HTTP',
    facts: { ...server, proxy: 'socks5://proxy.corp:1080' },
    plan: [k3s, ...rest],
    note: /HTTP proxies only/,
  },
  // What cannot be
  {
    name: 'no token and nobody to ask',
    facts: { ...server, token: 'none' },
    refused: /no token, and no terminal.*PIPEOPS_TOKEN_FILE/,
  },
  {
    name: 'no token yet, and somebody to ask',
    facts: { ...server, token: 'none', terminal: 'yes' },
    plan: [k3s, ...rest],
  },
  {
    name: 'a token with a space in it',
    facts: { ...server, token: 'invalid' },
    refused: /characters no token has/,
  },
  {
    name: 'a token file that is not there',
    facts: { ...server, token: 'unreadable' },
    refused: /token file cannot be read \| PIPEOPS_TOKEN_FILE/,
  },
  {
    name: 'a name that would be more than one value to helm',
    facts: { ...server, cluster_name: 'a,image.tag=b' },
    refused: /is no cluster name/,
  },
  {
    name: 'an address that is none',
    facts: { ...server, api_url: 'api.example' },
    refused: /PIPEOPS_API_URL/,
  },
  {
    name: 'INSTALL_GATEWAY_API=maybe',
    facts: { ...server, gateway_api: 'maybe' },
    refused: /INSTALL_GATEWAY_API/,
  },
  {
    name: 'a fact nobody knows',
    facts: { ...server, memory: 4 },
    refused: /unknown fact 'memory'/,
  },
  {
    name: 'a number that is none',
    facts: { ...server, cpus: 'many' },
    refused: /cpus is 'many', not a number/,
  },
]
