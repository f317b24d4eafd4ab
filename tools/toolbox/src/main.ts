import { programs } from './programs.ts'
import { resolveTools } from './resolve.ts'

const asked = process.argv.slice(2)
const names = asked.length > 0 ? asked : [...programs.keys()]
const paths = await resolveTools(names, {
  progress: (message) => process.stderr.write(`${message}\n`),
})
for (const [name, path] of Object.entries(paths)) process.stdout.write(`${name}=${path}\n`)
