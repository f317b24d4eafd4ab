import type { ServerResponse } from 'node:http'

import type { AgentError } from '@agent/contracts'

const reasons: Record<number, string> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  414: 'RequestURITooLong',
  429: 'TooManyRequests',
  431: 'RequestHeaderFieldsTooLarge',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}

/** An error as the Kubernetes `Status` object that kubectl prints; it names the hop and the way out. */
export function statusBody(error: AgentError): object {
  const { code, hop, message, advice, status, retryAfterMs } = error
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: `${message} (hop: ${hop}). ${advice}`,
    reason: reasons[status] ?? 'InternalError',
    details: {
      causes: [{ reason: code, field: hop, message }],
      ...(retryAfterMs === undefined ? {} : { retryAfterSeconds: seconds(retryAfterMs) }),
    },
    code: status,
  }
}

/** Answers with a Status; once a head is out all that is left is to break off. */
export function sendStatus(response: ServerResponse, error: AgentError): void {
  if (response.headersSent) return void response.destroy()
  const body = JSON.stringify(statusBody(error))
  const retryAfterMs = error.retryAfterMs ?? (error.retryable ? 1_000 : undefined)
  response.statusCode = error.status
  response.setHeader('content-type', 'application/json')
  response.setHeader('content-length', Buffer.byteLength(body))
  if (retryAfterMs !== undefined) response.setHeader('retry-after', seconds(retryAfterMs))
  // A kept-alive connection would come back to the one that stops.
  if (error.code === 'draining') response.setHeader('connection', 'close')
  if (error.status === 401) response.setHeader('www-authenticate', 'Bearer')
  response.end(body)
}

function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000))
}
