// Makes the pod's own bus token, for the nats-server and for those who connect to it.
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'

const token = randomBytes(30).toString('base64url')
const config = `listen: "127.0.0.1:4222"\nauthorization { token: "${token}" }\n`
writeFileSync('/run/bus/token', token, { mode: 0o440 })
writeFileSync('/run/bus/nats.conf', config, { mode: 0o440 })
