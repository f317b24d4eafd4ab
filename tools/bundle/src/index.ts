export { bundleAll, root } from './bundle.ts'
export { readRevision, type Revision } from './revision.ts'
