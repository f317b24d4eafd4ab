import { programs } from './programs.ts'
import { resolveTool, resolveTools } from './resolve.ts'

const asked = process.argv.slice(2)
const names = asked.length > 0 ? asked : [...programs.keys()]
const progress = (message: string): void => void process.stderr.write(`${message}\n`)
const paths: Record<string, string> = await resolveTools(names, { progress })
if (asked.length === 0 && process.platform === 'linux') {
  // Of the image for the other architecture.
  const arch = process.arch === 'arm64' ? 'x64' : 'arm64'
  paths[`nats-server (${arch})`] = await resolveTool('nats-server', { progress, arch })
}
for (const [name, path] of Object.entries(paths)) process.stdout.write(`${name}=${path}\n`)
