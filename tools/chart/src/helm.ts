import { spawn } from 'node:child_process'
import { join } from 'node:path'

import { type Progress, resolveTool } from '@agent/toolbox'

const deploy = join(import.meta.dirname, '../../../deploy')

/** The charts, by their folders. */
export const charts = {
  agent: join(deploy, 'chart'),
  controlPlane: join(deploy, 'chart-control-plane'),
}
export type ChartName = keyof typeof charts

/** Where plain manifests are kept. */
export const manifestsDir = join(deploy, 'manifests')

export type RenderOptions = {
  release?: string
  namespace?: string
  /** Hooks (the test pod) too; on by default. */
  hooks?: boolean
}

/** Helm without a cluster. */
export type Helm = {
  /** The rendered YAML; rejects with Helm's message. */
  template(chart: ChartName, values: object, options?: RenderOptions): Promise<string>
  /** What lint prints; rejects when it finds something. */
  lint(chart: ChartName, values: object): Promise<string>
}

/** Finds Helm, or builds it. */
export async function openHelm(progress: Progress = () => {}): Promise<Helm> {
  const program = await resolveTool('helm', { progress })
  return {
    template(
      chart,
      values,
      { release = 'pipeops', namespace = 'pipeops-system', hooks = true } = {},
    ) {
      const args = ['template', release, charts[chart], '--namespace', namespace, '--values', '-']
      return run(program, hooks ? args : [...args, '--no-hooks'], values)
    },
    lint: (chart, values) =>
      run(program, ['lint', '--strict', charts[chart], '--values', '-'], values),
  }
}

function run(program: string, args: string[], values: object): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { timeout: 30_000, env: { PATH: process.env['PATH'] } })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk) => (stdout += chunk))
    child.stderr.on('data', (chunk) => (stderr += chunk))
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve(stdout)
      else reject(new Error(`helm ${args[0]} failed:\n${stderr}${stdout}`))
    })
    // A process that refuses its arguments never reads them.
    child.stdin.on('error', () => {})
    child.stdin.end(JSON.stringify(values))
  })
}
