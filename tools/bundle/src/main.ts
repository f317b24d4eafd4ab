import { bundleAll } from './bundle.ts'

await bundleAll((line) => process.stdout.write(`${line}\n`))
