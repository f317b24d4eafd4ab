import type { ServerResponse } from 'node:http'

import type { AgentError, ErrorCode } from '@agent/contracts'

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

/** Over in a moment. kubectl sends the same request again, up to ten times, whenever an answer has a Retry-After. */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'connection-lost',
  'draining',
  'too-many-streams',
  'unavailable',
])
/** It may have been carried out, and all that is missing is the answer. */
const unsure: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['connection-lost', 'draining'])
const mayBeRepeated = /^(GET|HEAD|OPTIONS)$/

/** An error as the Kubernetes `Status` object that kubectl prints; it names the hop and the way out. */
export function statusBody(error: AgentError, retryAfterMs?: number): object {
  const { code, hop, message, advice, status } = error
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

/**
 * Answers with a Status; once a head is out all that is left is to break off. Where waiting helps and another try does
 * no harm it says so; `wasSent` when the cluster may have the request.
 */
export function sendStatus(response: ServerResponse, error: AgentError, wasSent = false): void {
  if (response.headersSent) return void response.destroy()
  const { method = '', headers } = response.req
  // An exec over WebSocket is a GET.
  const isHarmless = mayBeRepeated.test(method) && headers.upgrade === undefined
  const mayHarm = wasSent && unsure.has(error.code) && !isHarmless
  const inMs = error.retryAfterMs ?? (passing.has(error.code) ? 1_000 : undefined)
  const retryAfterMs = mayHarm ? undefined : inMs
  const body = JSON.stringify(statusBody(error, retryAfterMs))
  response.statusCode = error.status
  response.setHeader('content-type', 'application/json')
  response.setHeader('content-length', Buffer.byteLength(body))
  if (retryAfterMs !== undefined) response.setHeader('retry-after', seconds(retryAfterMs))
  if (error.status >= 500) response.setHeader('warning', `299 - "${quotable(error)}"`)
  // A kept-alive connection would come back to the one that stops.
  if (error.code === 'draining') response.setHeader('connection', 'close')
  if (error.status === 401) response.setHeader('www-authenticate', 'Bearer')
  response.end(body)
}

/**
 * As a warning (RFC 9111 §5.5), which kubectl prints; of a 503 while it discovers the API it says nothing else but that
 * the server is unable.
 */
function quotable({ message, hop }: AgentError): string {
  return `${message} (hop: ${hop})`.replaceAll('’', "'").replaceAll(/[^\x20-\x7e]|["\\]/g, '?')
}

function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000))
}
