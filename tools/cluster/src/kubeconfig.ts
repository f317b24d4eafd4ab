import { readFile, writeFile } from 'node:fs/promises'

/** Writes a kubeconfig (0600) with a client certificate. */
export async function writeKubeconfig(
  file: string,
  options: { server: string; ca: string; certFile: string; keyFile: string },
): Promise<void> {
  const base64 = async (path: string): Promise<string> => (await readFile(path)).toString('base64')
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'embedded',
        cluster: {
          server: options.server,
          'certificate-authority-data': Buffer.from(options.ca).toString('base64'),
        },
      },
    ],
    users: [
      {
        name: 'admin',
        user: {
          'client-certificate-data': await base64(options.certFile),
          'client-key-data': await base64(options.keyFile),
        },
      },
    ],
    contexts: [{ name: 'embedded', context: { cluster: 'embedded', user: 'admin' } }],
    'current-context': 'embedded',
  }
  await writeFile(file, JSON.stringify(config), { mode: 0o600 })
}
