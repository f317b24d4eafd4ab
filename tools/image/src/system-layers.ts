import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

import { root } from '@agent/bundle'
import { type Progress, resolveTool, toolVersion } from '@agent/toolbox'

import { type ImageArch, machineArch, toNodeArch } from './architecture.ts'
import { readForeignNodeFiles } from './foreign-node.ts'
import { readNodeFiles, rootFiles } from './node-files.ts'
import { createLayer, type Layer } from './oci.ts'
import type { Part } from './sbom.ts'

const run = promisify(execFile)

/** A layer that others are put upon, and what it adds to the bill of materials. */
export type SystemLayer = { layer: Layer; parts: Part[] }

/** A root with Node and its libraries, and nothing else. */
export async function createNodeLayer(arch: ImageArch, progress: Progress): Promise<SystemLayer> {
  const files =
    arch === machineArch
      ? await readNodeFiles(root)
      : await readForeignNodeFiles(root, arch, progress)
  const parts = files.map(({ path: name, data, version }, index): Part => {
    const known = version === undefined ? {} : { version }
    return { name, data, ...known, type: index === 0 ? 'application' : 'file' }
  })
  return { layer: await createLayer([...rootFiles, ...files]), parts }
}

/** nats-server alone: it is linked statically. */
export async function createNatsLayer(arch: ImageArch, progress: Progress): Promise<SystemLayer> {
  const program = await resolveTool('nats-server', { progress, arch: toNodeArch(arch) })
  const data = await readFile(program)
  const name = 'usr/local/bin/nats-server'
  const version = await readVersion(program, arch)
  return {
    layer: await createLayer([{ path: name, mode: 0o755, data }]),
    parts: [{ name, version, data, type: 'application' }],
  }
}

/** A program of this machine may be any that was found; one for another was built as the toolbox says. */
async function readVersion(program: string, arch: ImageArch): Promise<string> {
  if (arch !== machineArch) return toolVersion('nats-server') ?? 'unknown'
  const { stdout } = await run(program, ['--version'])
  return /v(\d\S*)/.exec(stdout)?.[1] ?? 'unknown'
}
