import { join } from 'node:path'

import { CommonConfig } from '@agent/sidecar'
import * as z from 'zod'

const root = join(import.meta.dirname, '../../..')
const apps = ['link', 'proxy', 'console', 'edge', 'control-plane'] as const

type Property = {
  description?: string
  default?: unknown
  enum?: unknown[]
  type?: string
  minimum?: number
  maximum?: number
}

/** The configuration reference, from the schemas that the processes parse their environment with. */
export async function renderConfiguration(): Promise<string> {
  const sections = [section('Every process', CommonConfig)]
  for (const app of apps) {
    // Loaded by path: nothing may import an app, and this only reads its schema.
    const { Config } = (await import(join(root, 'apps', app, 'src/config.ts'))) as {
      Config: z.ZodType
    }
    sections.push(section(app, Config))
  }
  return [
    '# Configuration',
    '',
    'Generated from the schemas by `npm run docs`. All settings are environment variables; an empty one counts as not',
    'set. A process with invalid settings names all of them, prints no value, and exits with code 2.',
    '',
    ...sections,
  ].join('\n')
}

function section(title: string, schema: z.ZodType): string {
  const { properties = {}, required = [] } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
  }) as { properties?: Record<string, Property>; required?: string[] }
  const rows = Object.entries(properties).map(([name, property]) => {
    const isRequired = required.includes(name)
    return `| \`${name}\` | ${describe(property)} | ${isRequired ? 'required' : defaultOf(name, property)} |`
  })
  return [`## ${title}`, '', '| variable | meaning | default |', '|---|---|---|', ...rows, ''].join(
    '\n',
  )
}

function describe({ description = '', enum: values, minimum, maximum }: Property): string {
  const range =
    minimum !== undefined && maximum !== undefined && maximum < 1e6
      ? ` ${minimum} to ${maximum}.`
      : ''
  const choice = values === undefined ? '' : ` One of ${values.join(', ')}.`
  return `${description}${choice}${range}`.replaceAll('|', '\\|')
}

function defaultOf(name: string, { default: value }: Property): string {
  if (name === 'PIPEOPS_STATE_FILE') return '`~/.local/state/pipeops-agent/state`'
  if (value === undefined || (typeof value === 'object' && value !== null)) return ''
  return `\`${JSON.stringify(value).replaceAll('"', '')}\``
}
