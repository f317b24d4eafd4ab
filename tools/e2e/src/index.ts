export { type Checks, createChecks } from './checks.ts'
export { type CommandOptions, execute, mustExecute } from './command.ts'
export { type Door, openDoorOf } from './door.ts'
export { type Counts, finish } from './finish.ts'
