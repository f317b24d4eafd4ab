export { tryCluster } from './cluster.ts'
export { type ControlPlaneCheck, tryControlPlane } from './control-plane.ts'
