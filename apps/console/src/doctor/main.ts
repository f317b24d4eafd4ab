import { runDoctor } from './doctor.ts'

process.exit(await runDoctor(process.argv.slice(2), process.env))
