import { readFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'

/** A person's way to a cluster through the control plane: what is in their kubeconfig. */
export type Door = Disposable & {
  url: URL
  token: string
  /** One GET below the cluster: `proxy/…` its API, `agent/…` its console. */
  fetch(path: string, timeoutMs?: number): Promise<{ status: number; body: string }>
}

type Kubeconfig = {
  clusters: [{ cluster: { server: string; 'certificate-authority-data': string } }]
  users: [{ user: { token: string } }]
}

/** Reads a kubeconfig of the control plane's. */
export async function createDoor(file: string): Promise<Door> {
  const config = JSON.parse(await readFile(file, 'utf8')) as Kubeconfig
  const { cluster } = config.clusters[0]
  const ca = Buffer.from(cluster['certificate-authority-data'], 'base64').toString('utf8')
  const { token } = config.users[0].user
  const url = new URL(cluster.server.replace(/proxy$/, ''))
  const agent = new Agent({ ca, keepAlive: true })
  return {
    url,
    token,
    fetch: (path, timeoutMs = 10_000) =>
      new Promise((resolve, reject) => {
        const options = {
          agent,
          headers: { authorization: `Bearer ${token}` },
          signal: AbortSignal.timeout(timeoutMs),
        }
        request(new URL(path, url), options, (response) => {
          response.toArray().then((chunks: Buffer[]) => {
            const body = Buffer.concat(chunks).toString('utf8')
            resolve({ status: response.statusCode ?? 0, body })
          }, reject)
        })
          .once('error', reject)
          .end()
      }),
    [Symbol.dispose]: () => agent.destroy(),
  }
}
