import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'

const types = {
  'dashboard.html': 'text/html; charset=utf-8',
  'dashboard.css': 'text/css; charset=utf-8',
  'dashboard.js': 'text/javascript; charset=utf-8',
  'charts.js': 'text/javascript; charset=utf-8',
  'path.js': 'text/javascript; charset=utf-8',
  'dom.js': 'text/javascript; charset=utf-8',
  'logs.js': 'text/javascript; charset=utf-8',
} as const
export type AssetName = keyof typeof types
export const assetNames = Object.keys(types) as AssetName[]

/** The dashboard's files, read once at the start. */
export type Assets = ReadonlyMap<string, { body: Buffer; type: string; etag: string }>

/** Reads the files that lie beside this code (`assets/`), from source and in the bundle alike. */
export async function readAssets(): Promise<Assets> {
  const base = await assetsBase()
  return new Map(
    await Promise.all(
      assetNames.map(async (name) => {
        const body = await readFile(new URL(name, base))
        const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 16)}"`
        return [name, { body, type: types[name], etag }] as const
      }),
    ),
  )
}

/** The bundle is one file with `assets/` beside it; in the source this module lies one folder deeper. */
async function assetsBase(): Promise<URL> {
  const beside = new URL('assets/', import.meta.url)
  const above = new URL('../assets/', import.meta.url)
  return readFile(new URL('dashboard.html', beside)).then(
    () => beside,
    () => above,
  )
}
