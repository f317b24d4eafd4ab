export type { AgentProfile } from './agent-processes.ts'
export { startStack, type Stack, type StackCluster, type StackOptions } from './stack.ts'
export type { Supervised } from './supervisor.ts'
