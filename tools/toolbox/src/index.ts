export { kubernetesVersion } from './programs.ts'
export {
  cacheDir,
  type Progress,
  type ResolveOptions,
  resolveTool,
  resolveTools,
} from './resolve.ts'
