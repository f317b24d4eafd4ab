import { runChecks } from './check.ts'

process.exitCode = await runChecks(process.argv.slice(2))
