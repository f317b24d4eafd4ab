import type { Architecture } from '@agent/toolbox'

/** What an image can be built for, as the OCI calls it. */
export const imageArchs = ['amd64', 'arm64'] as const
export type ImageArch = (typeof imageArchs)[number]

/** This machine's. */
export const machineArch: ImageArch = process.arch === 'arm64' ? 'arm64' : 'amd64'

/** As Node, npm and the toolbox call it. */
export function toNodeArch(arch: ImageArch): Architecture {
  return arch === 'amd64' ? 'x64' : arch
}
