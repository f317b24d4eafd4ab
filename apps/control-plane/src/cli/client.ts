import { readFile } from 'node:fs/promises'
import { rootCertificates } from 'node:tls'

import { AgentError, parseErrorCode, parseHop } from '@agent/contracts'
import { Agent, request } from 'undici'

/** Where the control plane is and how to prove oneself; files, so that no secret is on a command line. */
export type ClientOptions = { url: string; caFile?: string | undefined; tokenFile: string }

/** A client of the control plane's REST API. */
export type Client = {
  call(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<unknown>
  /** The PEM of the CA, for kubeconfigs. */
  ca: string | undefined
}

/** Reads the files and returns a client. */
export async function createClient({ url, caFile, tokenFile }: ClientOptions): Promise<Client> {
  const token = await read('--token-file', tokenFile)
  const ca = caFile === undefined ? undefined : await read('--ca-file', caFile)
  const dispatcher = new Agent({
    connect: ca === undefined ? {} : { ca: [...rootCertificates, ca] },
  })
  return {
    ca,
    async call(method, path, body) {
      let answer
      try {
        answer = await request(new URL(path, url), {
          method,
          dispatcher,
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: body === undefined ? null : JSON.stringify(body),
          headersTimeout: 10_000,
          bodyTimeout: 10_000,
        })
      } catch (cause) {
        throw unreachable(url, cause as NodeJS.ErrnoException)
      }
      const text = await answer.body.text()
      const value = text === '' ? null : (JSON.parse(text) as Record<string, unknown>)
      if (answer.statusCode < 400) return value
      throw new AgentError(parseErrorCode(value?.['code']), String(value?.['error']), {
        hop: parseHop(value?.['hop'], 'control-plane'),
      })
    },
  }
}

function unreachable(url: string, cause: NodeJS.ErrnoException): AgentError {
  const code = cause.code ?? cause.message
  return /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/.test(code)
    ? new AgentError(
        'control-plane-untrusted',
        `the certificate of ${url} is not trusted (${code})`,
        { cause },
      )
    : new AgentError('control-plane-unreachable', `no connection to ${url} (${code})`, { cause })
}

async function read(option: string, file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    throw new AgentError('config-invalid', `${option}: cannot read ${file}`, { cause })
  }
}
