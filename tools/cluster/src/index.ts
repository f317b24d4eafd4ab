export { type Children, createChildren, stop } from './children.ts'
export { type Cluster, type EmbeddedOptions, startEmbeddedCluster } from './embedded.ts'
export { freePorts } from './ports.ts'
