import { AgentError, type Hop } from '@agent/contracts'

/** What a failed call means to the client: the server is away, not trusted, or broke off. */
export function callError(error: Error, hop: Extract<Hop, 'api-server' | 'service'>): AgentError {
  const name = hop === 'service' ? 'the Service' : 'the API server'
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (isTrustProblem(code)) {
    return new AgentError(
      'api-server-untrusted',
      `${name}’s certificate is not trusted (${code})`,
      {
        cause: error,
        hop,
      },
    )
  }
  if (code === 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH' || code === 'UND_ERR_INVALID_ARG') {
    return new AgentError('bad-request', `the request is malformed (${code})`, { cause: error })
  }
  if (code === 'UND_ERR_HEADERS_TIMEOUT') {
    return new AgentError('timeout', `${name} did not answer in time`, { cause: error, hop })
  }
  return new AgentError(
    hop === 'service' ? 'service-unreachable' : 'api-server-unreachable',
    `${name} did not answer${code === '' ? '' : ` (${code})`}`,
    { cause: error, hop },
  )
}

function isTrustProblem(code: string): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/.test(code)
}
