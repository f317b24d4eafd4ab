export { type Checks, createChecks } from './checks.ts'
export { type CommandOptions, execute, mustExecute } from './command.ts'
export { until } from './until.ts'
export { type Counts, finish } from './finish.ts'
