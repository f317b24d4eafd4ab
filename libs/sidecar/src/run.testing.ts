import { setInterval as everyTime } from 'node:timers'

import * as z from 'zod'

import { runSidecar } from './run.ts'

/** A whole process for tests: says a lot if it is told to. */
await runSidecar({
  name: 'sample',
  config: z.object({ SAMPLE_NAME: z.string(), SAMPLE_IS_LOUD: z.stringbool().default(false) }),
  bus: 'none',
  defaultHealthPort: 0,
  start({ config, log, scope, status }) {
    status.report('ok')
    if (!config.SAMPLE_IS_LOUD) return
    const timer = everyTime(() => {
      for (let line = 0; line < 2_000; line++) log.info({ pad: 'x'.repeat(200) }, 'noise')
    }, 20)
    scope.defer(() => clearInterval(timer))
  },
})
