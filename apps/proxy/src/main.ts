import { runSidecar } from '@agent/sidecar'

import { proxySidecar } from './sidecar.ts'

await runSidecar(proxySidecar)
