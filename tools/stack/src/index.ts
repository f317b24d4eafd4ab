export { startStack, type Stack, type StackCluster, type StackOptions } from './stack.ts'
export type { Supervised } from './supervisor.ts'
