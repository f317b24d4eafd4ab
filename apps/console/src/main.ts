import { runSidecar } from '@agent/sidecar'

import { consoleSidecar } from './sidecar.ts'

await runSidecar(consoleSidecar)
