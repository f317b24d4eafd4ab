import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'

import { AgentError, type ErrorCode } from '@agent/contracts'
import { expect, test } from 'vitest'

import { sendStatus } from './kube-status.ts'

/** The Retry-After of an answer, and that in its body. */
function retryAfter(error: AgentError, method: string, wasSent?: boolean): unknown[] {
  const request = new IncomingMessage(new Socket())
  request.method = method
  const response = new ServerResponse(request)
  let body = ''
  response.end = ((text: string) => ((body = text), response)) as never
  sendStatus(response, error, wasSent)
  const { details } = JSON.parse(body) as { details: { retryAfterSeconds?: number } }
  return [response.getHeader('retry-after'), details.retryAfterSeconds]
}

test.each([
  ['unavailable', 1],
  ['too-many-streams', 1],
  ['connection-lost', 1],
  ['cluster-offline', undefined],
  ['api-server-unreachable', undefined],
  ['timeout', undefined],
  ['forbidden', undefined],
] as [ErrorCode, number | undefined][])('%s: Retry-After %s', (code, expected) => {
  expect(retryAfter(new AgentError(code, ''), 'GET', true)).toEqual([expected, expected])
})

test('what is our fault or the agent’s is also a warning, as plain ASCII: kubectl prints it where it hides the rest', () => {
  const response = new ServerResponse(new IncomingMessage(new Socket()))
  sendStatus(response, new AgentError('cluster-offline', 'the agent’s "ü" \\ \r\n is away'))
  expect(response.getHeader('warning')).toBe(
    '299 - "the agent\'s ??? ? ?? is away (hop: connection)"',
  )
})

test('where the time is known it is told, rounded up', () => {
  const offline = new AgentError('cluster-offline', '', { retryAfterMs: 4_100 })
  expect(retryAfter(offline, 'GET')).toEqual([5, 5])
})

test('a change that the cluster may have made is not sent again', () => {
  for (const code of ['connection-lost', 'draining'] as const) {
    const lost = new AgentError(code, '', { retryAfterMs: 1_000 })
    expect(retryAfter(lost, 'POST', true)).toEqual([undefined, undefined])
    expect(retryAfter(lost, 'POST')).toEqual([1, 1])
    expect(retryAfter(lost, 'GET', true)).toEqual([1, 1])
  }
  const refused = new AgentError('too-many-streams', '')
  expect(retryAfter(refused, 'POST', true)).toEqual([1, 1])
})
