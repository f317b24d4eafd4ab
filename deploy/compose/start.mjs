// Runs before a sidecar in its own process: waits until its secrets are there, and gives it a name, because those that
// share a network share the host name too.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const ready = '/run/pod/ready'
const lookMs = 100

// Process 1 ends by no signal that it does not handle.
const stop = () => process.exit()
process.once('SIGTERM', stop)
if (!existsSync(ready))
  console.log(`waiting for ${ready}: the logs of the service secrets say what is missing`)
while (!existsSync(ready)) await delay(lookMs)
process.off('SIGTERM', stop)
process.env.PIPEOPS_INSTANCE ||= `${process.env.SIDECAR}-${randomBytes(3).toString('hex')}`
