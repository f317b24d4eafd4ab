import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'

import { type ChartName, charts, type Helm, manifestsDir, openHelm } from './helm.ts'
import { manifests, renderManifest } from './manifests.ts'
import { merge } from './merge.testing.ts'
import { parseObjects } from './objects.ts'

const run = promisify(execFile)
let helm: Helm
beforeAll(async () => {
  helm = await openHelm()
})

const chartNames = Object.keys(charts) as ChartName[]
/** Known without a default: what Helm adds, an amount of nothing, a choice among places. */
const optional = /^[.]global$|[.]resources[.](limits|requests)[.]|^[.]affinity[.]/
const agent = { pipeops: { token: 'x' }, cluster: { name: 'prod' } }

type Schema = {
  $ref?: string
  type?: string | string[]
  properties?: Record<string, Schema>
  additionalProperties?: boolean | Schema
  required?: string[]
}

describe.for(chartNames)('the chart %s', (chart) => {
  const read = (file: string): Promise<string> => readFile(join(charts[chart], file), 'utf8')

  test('lint finds nothing', async () => {
    const said = await helm.lint(chart, chart === 'agent' ? { agent } : {})
    expect(said).toContain('0 chart(s) failed')
    expect(said).not.toMatch(/WARNING|ERROR/)
  })

  test('every value is in the schema, every value of the schema has a default', async () => {
    const schema = JSON.parse(await read('values.schema.json')) as Schema & {
      definitions: Record<string, Schema>
    }
    const missing: string[] = []
    function compare(at: string, given: Schema, value: unknown): void {
      const here =
        given.$ref === undefined
          ? given
          : (schema.definitions[given.$ref.replace('#/definitions/', '')] as Schema)
      if (here.properties === undefined || here.additionalProperties !== false) return
      const known = Object.keys(here.properties)
      const set = Object.keys(value ?? {})
      missing.push(
        ...set.filter((key) => !known.includes(key)).map((key) => `${at}.${key}: schema`),
      )
      for (const key of known) {
        const child = (value as Record<string, unknown>)[key]
        const path = `${at}.${key}`
        if (child !== undefined) compare(path, here.properties[key] as Schema, child)
        else if (!optional.test(path)) missing.push(`${path}: values.yaml`)
      }
    }
    compare('', schema, parse(await read('values.yaml')))
    expect(missing).toStrictEqual([])
  })

  test('every map with fixed keys refuses others', async () => {
    const open: string[] = []
    function visit(at: string, schema: Schema): void {
      if (schema.properties !== undefined && schema.additionalProperties === undefined)
        open.push(at)
      for (const [key, value] of Object.entries(schema)) {
        if (typeof value === 'object' && value !== null) visit(`${at}/${key}`, value as Schema)
      }
    }
    visit('', JSON.parse(await read('values.schema.json')) as Schema)
    expect(open).toStrictEqual([])
  })

  test('a default that says something may not be null; all others may', async () => {
    const schema = JSON.parse(await read('values.schema.json')) as Schema & {
      definitions: Record<string, Schema>
    }
    /** An amount may be left open, ids may be the platform's, and one definition serves two images. */
    const mayBeNull = /[.]resources[.]|^[.]podSecurityContext|^[.]nats[.]image[.]tag$/
    const wrong: string[] = []
    function compare(at: string, given: Schema, value: object): object {
      const here =
        given.$ref === undefined
          ? given
          : schema.definitions[given.$ref.replace('#/definitions/', '')]
      const nulls: Record<string, unknown> = {}
      for (const [key, each] of Object.entries(value) as [string, unknown][]) {
        const isNothing =
          each === null ||
          each === '' ||
          (typeof each === 'object' && Object.keys(each).length === 0)
        const path = `${at}.${key}`
        if (!mayBeNull.test(path) && here?.required?.includes(key) === isNothing) wrong.push(path)
        if (isNothing) nulls[key] = null
        else if (typeof each === 'object' && !Array.isArray(each))
          nulls[key] = compare(path, here?.properties?.[key] ?? {}, each)
      }
      return nulls
    }
    const nulls = compare('', schema, parse(await read('values.yaml')) as object) as {
      agent?: object
    }
    expect(wrong).toStrictEqual([])
    // What must be given is; the rest of the nulls are as good as the defaults.
    const given = chart === 'agent' ? { agent, nats: { tokenFrom: 'pod' } } : {}
    const rendered = await helm.template(chart, merge(nulls, given))
    expect(rendered).toBe(await helm.template(chart, given))
  })

  test('it has the version of the product', async () => {
    const { version } = JSON.parse(
      await readFile(join(import.meta.dirname, '../../../package.json'), 'utf8'),
    ) as { version: string }
    expect(parse(await read('Chart.yaml'))).toMatchObject({ version, appVersion: version })
  })
})

describe('plain manifests', () => {
  test.for(manifests)(
    '$file is up to date (else: npm run manifests -w @agent/chart)',
    async (manifest) => {
      const kept = await readFile(join(manifestsDir, manifest.file), 'utf8')
      expect(kept).toBe(await renderManifest(helm, manifest))
    },
  )

  test('the commands at its head put token and name into k8-agent.yaml', async () => {
    const kept = await readFile(join(manifestsDir, 'k8-agent.yaml'), 'utf8')
    const recipe = kept.slice(kept.indexOf('#   sed'), kept.indexOf('# Nobody'))
    const commands = recipe.replaceAll(/^#   /gm, '')
    const script = commands.replace('kubectl apply --server-side -f -', 'cat')
    expect(script).not.toBe(commands)
    const { stdout: text } = await run('sh', ['-c', script], {
      cwd: manifestsDir,
      env: { PATH: process.env['PATH'], PIPEOPS_TOKEN: 't0/k+n=', PIPEOPS_CLUSTER_NAME: 'mine' },
    })
    const objects = parseObjects(text)
    const named = (kind: string, name: string) =>
      objects.find((object) => object.kind === kind && object.metadata.name === name)
    expect(named('Secret', 'pipeops-agent-token')?.stringData).toStrictEqual({ token: 't0/k+n=' })
    expect(named('ConfigMap', 'pipeops-agent-config')?.data).toMatchObject({
      PIPEOPS_CLUSTER_NAME: 'mine',
    })
    expect(text).not.toMatch(/Helm|helm\.sh/)
  })
})
