export { findProgram, hostFolders, hostPath } from './find-program.ts'
export { withLock } from './lock.ts'
export { type OwnerLock, takeOwnerLock } from './owner-lock.ts'
export { findLiving, identify } from './process-identity.ts'
export { kubernetesVersion } from './programs.ts'
export {
  type Architecture,
  cacheDir,
  type Progress,
  type ResolveOptions,
  resolveTool,
  resolveTools,
  toolVersion,
} from './resolve.ts'
export { untilStopped } from './until-stopped.ts'
