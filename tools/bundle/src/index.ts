export { bundleAll, bundleOptions, root } from './bundle.ts'
export { readRevision, type Revision } from './revision.ts'
