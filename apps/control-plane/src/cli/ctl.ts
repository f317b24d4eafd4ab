import { AgentError } from '@agent/contracts'
import { Command, Option } from 'commander'

import { createKubeconfig, type Kubeconfig } from '../api/kubeconfig.ts'
import { replaceFile } from '../replace-file.ts'
import { type Client, createClient } from './client.ts'

type Global = { url: string; caFile?: string; tokenFile: string; output: 'json' | 'table' }

/** The control plane's command line. */
export async function runCtl(argv: string[]): Promise<void> {
  const program = new Command('ctl')
    .description('Clusters, tokens and kubeconfigs of a control plane.')
    .addOption(
      new Option('--url <url>', 'control plane')
        .env('CONTROL_PLANE_URL')
        .default('https://localhost:8443'),
    )
    .addOption(
      new Option('--ca-file <file>', 'CA of the control plane').env('CONTROL_PLANE_CA_FILE'),
    )
    .addOption(
      new Option('--token-file <file>', 'file with your token')
        .env('CONTROL_PLANE_TOKEN_FILE')
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--output <format>', 'how to print').choices(['json', 'table']).default('table'),
    )

  const collect = (value: string, all: string[] = []): string[] => [...all, value]
  const run = (task: (client: Client, options: never, argument: string) => Promise<unknown>) =>
    async function (this: Command, ...args: unknown[]): Promise<void> {
      const globals: Global = this.optsWithGlobals()
      const argument = typeof args[0] === 'string' ? args[0] : ''
      const result = await task(await createClient(globals), this.opts<never>(), argument)
      print(result, globals.output)
    }

  const clusters = program.command('clusters').description('clusters that have registered')
  clusters.command('list').action(run((client) => client.call('GET', '/api/v1/clusters')))
  clusters
    .command('show <name>')
    .action(
      run((client, _, name) => client.call('GET', `/api/v1/clusters/${encodeURIComponent(name)}`)),
    )
  clusters
    .command('remove <name>')
    .action(
      run((client, _, name) =>
        client.call('DELETE', `/api/v1/clusters/${encodeURIComponent(name)}`),
      ),
    )

  const tokens = program.command('tokens').description('tokens of users')
  const withUser = (command: Command): Command =>
    command
      .requiredOption('--user <name>', 'Kubernetes user to act as')
      .option('--group <name>', 'Kubernetes group, repeatable', collect)
      .option('--expires <duration>', 'such as 30m, 24h, 90d')
  withUser(tokens.command('create'))
    .option('--cluster <name>', 'a cluster it may use, repeatable; all when none is given', collect)
    .action(run((client, options) => createToken(client, options)))
  tokens.command('list').action(run((client) => client.call('GET', '/api/v1/tokens')))
  tokens
    .command('revoke <id>')
    .action(run((client, _, id) => client.call('DELETE', `/api/v1/tokens/${id}`)))

  const agentTokens = program.command('agent-tokens').description('tokens of agents')
  agentTokens
    .command('create')
    .option('--cluster <name>', 'the only cluster it may register')
    .action(
      run((client, options: { cluster?: string }) =>
        client.call('POST', '/api/v1/agent-tokens', { cluster: options.cluster ?? null }),
      ),
    )
  agentTokens.command('list').action(run((client) => client.call('GET', '/api/v1/agent-tokens')))
  agentTokens
    .command('revoke <id>')
    .action(run((client, _, id) => client.call('DELETE', `/api/v1/agent-tokens/${id}`)))

  withUser(program.command('kubeconfig').description('a kubeconfig with a new token'))
    .requiredOption('--cluster <name>', 'the cluster')
    .option('--out <file>', 'write it here (0600) instead of printing it')
    .action(async function (this: Command) {
      await printKubeconfig(await createClient(this.optsWithGlobals<Global>()), this.opts())
    })

  try {
    await program.parseAsync(argv)
  } catch (cause) {
    const { message, advice } = AgentError.from(cause, 'client')
    process.stderr.write(`ctl: ${message}\n${advice}\n`)
    process.exitCode = 1
  }
}

type UserOptions = { user: string; group?: string[]; cluster?: string[] | string; expires?: string }

function createToken(client: Client, options: UserOptions): Promise<unknown> {
  const { user, group = [], cluster, expires } = options
  return client.call('POST', '/api/v1/tokens', {
    user,
    groups: group,
    clusters: cluster === undefined ? null : [cluster].flat(),
    expiresInSeconds: expires === undefined ? null : seconds(expires),
  })
}

async function printKubeconfig(
  client: Client,
  options: UserOptions & { cluster: string; out?: string },
): Promise<void> {
  // The control plane knows where users reach it; what we were told may be true beside it only.
  const path = `/api/v1/clusters/${encodeURIComponent(options.cluster)}/kubeconfig`
  const { clusters } = (await client.call('GET', path)) as Kubeconfig
  const { server, 'certificate-authority-data': ca } = clusters[0].cluster
  const { token } = (await createToken(client, options)) as { token: string }
  const kubeconfig = createKubeconfig({
    server,
    ca: ca === undefined ? client.ca : Buffer.from(ca, 'base64').toString(),
    cluster: options.cluster,
    user: options.user,
    token,
  })
  const text = `${JSON.stringify(kubeconfig, null, 2)}\n`
  if (options.out === undefined) process.stdout.write(text)
  else await replaceFile(options.out, text)
}

const units: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 }

function seconds(duration: string): number {
  const [, count, unit] = /^([0-9]+)([smhd])$/.exec(duration) ?? []
  if (count === undefined || unit === undefined) {
    throw new AgentError('bad-request', '--expires: expected a duration such as 30m, 24h or 90d')
  }
  return Number(count) * (units[unit] as number)
}

function print(value: unknown, format: 'json' | 'table'): void {
  if (value === null) return
  if (format === 'json') return void process.stdout.write(`${JSON.stringify(value)}\n`)
  const [only] = Object.values(value as object)
  const rows = Array.isArray(only) ? only : [value]
  for (const row of rows) process.stdout.write(`${rowText(row as Record<string, unknown>)}\n`)
}

function rowText(row: Record<string, unknown>): string {
  return Object.entries(row)
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('  ')
}
