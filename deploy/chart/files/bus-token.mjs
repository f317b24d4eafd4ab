// Makes the pod's own bus token, for the nats-server and for those who connect to it. The argument is the folder.
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const dir = process.argv.at(-1)
const token = randomBytes(30).toString('base64url')
const config = `listen: "127.0.0.1:4222"\nauthorization { token: "${token}" }\n`
writeFileSync(join(dir, 'token'), token, { mode: 0o440 })
writeFileSync(join(dir, 'nats.conf'), config, { mode: 0o440 })
