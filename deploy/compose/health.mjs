// What kubelet's probe does in a cluster: asks the process of this container whether it is ready. The sidecars share a
// network, so their ports are any free ones; process 1 knows its own.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { networkInterfaces } from 'node:os'

const listening = '0A'

// Docker gives a bus that starts again a new network. A sidecar that is left in the old one ends, to start in the new.
if (Object.keys(networkInterfaces()).every((name) => name === 'lo')) {
  process.kill(1)
  throw new Error('this container has lost its network')
}
const answers = await Promise.all(ownPorts().map(ask))
if (!answers.includes(200)) process.exitCode = 1

function ownPorts() {
  const own = new Set(readdirSync('/proc/1/fd').map(readSocket))
  const lines = ['tcp', 'tcp6'].flatMap((name) =>
    readFileSync(`/proc/net/${name}`, 'utf8').split('\n'),
  )
  const ports = lines.flatMap((line) => {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/)
    return state === listening && own.has(inode) ? [parseInt(local.split(':').at(-1), 16)] : []
  })
  return [...new Set(ports)]
}

/** `socket:[1234]` → `1234` */
function readSocket(fd) {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/1/fd/${fd}`))?.[1]
  } catch {
    return undefined // closed since
  }
}

async function ask(port) {
  try {
    const url = `http://127.0.0.1:${port}/readyz`
    const response = await fetch(url, { signal: AbortSignal.timeout(3_000) })
    if (response.headers.get('content-type')?.includes('json') !== true) return undefined
    console.log(await response.text())
    return response.status
  } catch {
    return undefined // another of its ports
  }
}
