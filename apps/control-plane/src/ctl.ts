import { runCtl } from './cli/ctl.ts'

await runCtl(process.argv)
