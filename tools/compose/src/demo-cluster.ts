import { access, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { startEmbeddedCluster } from '@agent/cluster'
import { untilStopped } from '@agent/toolbox'

/** The volumes: what a cluster is made of, and what the agent gets of it. */
const dataDir = '/data'
const accessDir = '/run/cluster'
const port = 6_443
const lookMs = 500

const say = (message: string): void => void process.stdout.write(`${message}\n`)

/** The image's own programs, instead of looking for them and building them. */
for (const name of ['etcd', 'kube-apiserver', 'kwok', 'kubectl']) {
  process.env[`TOOLBOX_${name.replaceAll('-', '_').toUpperCase()}`] = `/usr/local/bin/${name}`
}

process.exitCode = await untilStopped(run, { progress: say })
process.exit()

async function run(signal: AbortSignal): Promise<void> {
  const dir = join(dataDir, 'run')
  // Who was killed left it behind.
  await rm(dir, { recursive: true, force: true })
  // What somebody took away from the demo stays away.
  const seeded = join(dataDir, 'seeded')
  const seed = !(await isThere(seeded))
  await using cluster = await startEmbeddedCluster({
    dir,
    etcdDir: join(dataDir, 'etcd'),
    listen: { address: ownAddress(), port },
    seed,
    progress: say,
    signal,
  })
  await writeFile(seeded, '')
  say(`listening on ${cluster.url}`)
  while (!signal.aborted) {
    // Authority and token are new after each start, the token also every hour.
    await give(cluster.caFile, 'ca.crt')
    await give(cluster.agentTokenFile, 'token')
    for (const pid of cluster.pids) {
      if (!isAlive(pid)) throw new Error('a program of the cluster is gone: all starts again')
    }
    await delay(lookMs, undefined, { signal }).catch(() => {})
  }
}

/** Where other containers reach this one. */
function ownAddress(): string {
  const found = Object.values(networkInterfaces())
    .flat()
    .find((each) => each?.internal === false && each.family === 'IPv4')
  if (found === undefined) throw new Error('this container has no network')
  return found.address
}

/** Puts a copy where the agent looks; replaced at once, and only when it is another. */
async function give(file: string, name: string): Promise<void> {
  const target = join(accessDir, name)
  const text = await readFile(file, 'utf8')
  if (text === (await readFile(target, 'utf8').catch(() => undefined))) return
  await writeFile(`${target}.new`, text, { mode: 0o600 })
  await rename(`${target}.new`, target)
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
