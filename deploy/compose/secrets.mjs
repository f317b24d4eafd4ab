// What an operator and kubelet do in a cluster: makes the bus's token and the agent's once, and puts them, with the
// control plane's authority, where the sidecars read them. A token that was revoked is not made again.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  accessSync,
  constants,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'

const { AGENT_KUBECONFIG, BUS_PORT, CONTROL_PLANE_URL, PIPEOPS_CLUSTER_NAME } = process.env
const controlPlane = '/data'
const pod = '/run/pod'
const agentToken = `/run/agent/${PIPEOPS_CLUSTER_NAME}.token`
const retryMs = 300
const keepMs = 30_000

process.once('SIGTERM', () => process.exit())
// What the sidecars wait for, see start.mjs; that of an earlier start may speak of another cluster.
rmSync(`${pod}/ready`, { force: true })
makeBusToken()
await until('the control plane answers', enroll)
if (AGENT_KUBECONFIG)
  await until(`user 1000 can read ${AGENT_KUBECONFIG}`, () => look('/run/kubeconfig'))
else
  await until('there is a cluster (--profile demo, or AGENT_KUBECONFIG)', () =>
    look('/run/cluster/token'),
  )
write(`${pod}/ready`, '')
console.log('secrets: all are there')
setInterval(copyAuthority, keepMs)

function makeBusToken() {
  if (!existsSync(`${pod}/token`)) write(`${pod}/token`, randomBytes(30).toString('base64url'))
  const token = readFileSync(`${pod}/token`, 'utf8')
  const listen = `127.0.0.1:${BUS_PORT}`
  write(`${pod}/nats.conf`, `listen: "${listen}"\nauthorization { token: "${token}" }\n`)
}

/** Lets the agent register with the first operator's token, which the agent never sees. */
async function enroll() {
  copyAuthority()
  if (existsSync(agentToken)) return
  const { token } = await createAgentToken()
  write(agentToken, token)
}

/** It is renewed before it ends. */
function copyAuthority() {
  write(`${pod}/control-plane.crt`, readFileSync(`${controlPlane}/ca.crt`, 'utf8'))
}

async function createAgentToken() {
  const operator = readFileSync(`${controlPlane}/admin.token`, 'utf8').trim()
  const options = {
    method: 'POST',
    ca: readFileSync(`${controlPlane}/ca.crt`, 'utf8'),
    headers: { authorization: `Bearer ${operator}`, 'content-type': 'application/json' },
    signal: AbortSignal.timeout(5_000),
  }
  const asking = request(new URL('/api/v1/agent-tokens', CONTROL_PLANE_URL), options)
  // What comes after the answer's head is told by its body.
  asking.on('error', () => {})
  asking.end(JSON.stringify({ cluster: PIPEOPS_CLUSTER_NAME }))
  const [response] = await once(asking, 'response')
  const text = (await response.toArray()).join('')
  if (response.statusCode >= 400) throw new Error(`${response.statusCode} ${text}`)
  return JSON.parse(text)
}

function look(file) {
  accessSync(file, constants.R_OK)
}

async function until(what, task) {
  let said
  for (;;) {
    try {
      return await task()
    } catch (error) {
      if (said !== error.message) console.log(`secrets: waiting until ${what} (${error.message})`)
      said = error.message
      await delay(retryMs)
    }
  }
}

/** Never half written, and only when it is another; nobody reads it but the user that all containers run as. */
function write(file, text) {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return
  writeFileSync(`${file}.new`, text, { mode: 0o400 })
  renameSync(`${file}.new`, file)
}
