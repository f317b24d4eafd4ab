import { readFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'

import type { Cluster } from './embedded.ts'

const answerMs = 10_000

/** Reads objects as the cluster's owner, over connections that stay open: asking often costs little. */
export type ApiReader = Disposable & {
  /** The path begins with a slash; rejects unless the answer is 200. */
  read<T>(path: string): Promise<T>
}

/** A reader of a cluster that runs. */
export async function createApiReader({ adminKubeconfig }: Cluster): Promise<ApiReader> {
  const config = JSON.parse(await readFile(adminKubeconfig, 'utf8')) as {
    clusters: [{ cluster: { server: string; 'certificate-authority-data': string } }]
    users: [{ user: { 'client-certificate-data': string; 'client-key-data': string } }]
  }
  const { cluster } = config.clusters[0]
  const { user } = config.users[0]
  const decode = (data: string): Buffer => Buffer.from(data, 'base64')
  const agent = new Agent({
    keepAlive: true,
    ca: decode(cluster['certificate-authority-data']),
    cert: decode(user['client-certificate-data']),
    key: decode(user['client-key-data']),
  })
  return {
    read: <T>(path: string) =>
      new Promise<T>((resolve, reject) => {
        const signal = AbortSignal.timeout(answerMs)
        request(`${cluster.server}${path}`, { agent, signal }, (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.once('error', reject)
          response.once('end', () => {
            const text = Buffer.concat(chunks).toString('utf8')
            if (response.statusCode === 200) resolve(JSON.parse(text) as T)
            else reject(new Error(`GET ${path}: ${response.statusCode} ${text.slice(0, 500)}`))
          })
        })
          .once('error', reject)
          .end()
      }),
    [Symbol.dispose]: () => agent.destroy(),
  }
}
