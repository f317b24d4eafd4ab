import { runSidecar } from '@agent/sidecar'

import { linkSidecar } from './sidecar.ts'

await runSidecar(linkSidecar)
