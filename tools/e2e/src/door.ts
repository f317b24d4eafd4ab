import { readFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'

/** A person's way to a cluster through the control plane: what is in their kubeconfig. */
export type Door = Disposable & {
  /** Ends in a slash; the cluster's API and console are below. */
  url: URL
  ca: string
  token: string
  /** One GET below the cluster: `proxy/…` its API, `agent/…` its console. */
  fetch(path: string, timeoutMs?: number): Promise<{ status: number; body: string }>
}

/** What of a kubeconfig that the control plane writes is needed here. */
export type Kubeconfig = {
  clusters: [{ cluster: { server: string; 'certificate-authority-data': string } }]
  users: [{ user: { token: string } }]
}

/** Opens the way that a kubeconfig of the control plane's describes; a GET has `usualMs` where it is not given another time. */
export function openDoor(
  { clusters: [{ cluster }], users: [{ user }] }: Kubeconfig,
  usualMs = 10_000,
): Door {
  const ca = Buffer.from(cluster['certificate-authority-data'], 'base64').toString('utf8')
  const { token } = user
  const url = new URL(cluster.server.replace(/proxy$/, ''))
  const agent = new Agent({ ca, keepAlive: true })
  return {
    url,
    ca,
    token,
    fetch: (path, timeoutMs = usualMs) =>
      new Promise((resolve, reject) => {
        const options = {
          agent,
          headers: { authorization: `Bearer ${token}` },
          signal: AbortSignal.timeout(timeoutMs),
        }
        request(`${url.href}${path}`, options, (response) => {
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

/** The same out of a file. */
export async function openDoorOf(file: string): Promise<Door> {
  return openDoor(JSON.parse(await readFile(file, 'utf8')) as Kubeconfig)
}
