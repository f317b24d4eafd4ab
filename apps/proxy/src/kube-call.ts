import { AgentError } from '@agent/contracts'
import type { Stream, StreamHandler } from '@agent/streams'

import type { AuditEntry } from './audit.ts'
import { type Call, createRelay, dispatchOptions } from './relay.ts'
import { createRequestBody, type RequestBody } from './request-body.ts'

/**
 * Until an answer's head: the API server ends every request but watches and logs after 60 s, and those send their head
 * at once. Services have no such limit.
 */
const answerMs = { 'api-server': 65_000, service: 300_000 }

/** Makes one HTTP call for a stream: body in, head and body out, all of it streamed, cancelled from either side. */
export function makeCall(stream: Stream, call: Call, audit: AuditEntry): StreamHandler {
  const relay = createRelay(stream, call, audit)
  /** What came with the OPEN frame. */
  const first: Buffer[] = []
  let body: RequestBody | undefined
  let isDispatched = false

  function dispatch(): void {
    if (relay.isOver) return
    isDispatched = true
    const whole = stream.peerEnded ? takeFirst() : undefined
    if (whole === undefined) {
      body = createRequestBody(stream)
      for (const bytes of first.splice(0)) body.push(bytes)
    }
    try {
      call.dispatcher.dispatch(
        {
          ...dispatchOptions(call),
          headersTimeout: answerMs[call.hop],
          body: whole ?? body?.readable ?? null,
        },
        relay.handler,
      )
    } catch (cause) {
      relay.fail(
        new AgentError('bad-request', 'the request cannot be sent', { cause, hop: 'proxy' }),
      )
    }
  }

  function takeFirst(): Buffer {
    const whole = first.length === 1 ? (first[0] as Buffer) : Buffer.concat(first)
    stream.consume(whole.length)
    return whole
  }

  // Once this message is read it is known whether the OPEN frame was the whole request.
  queueMicrotask(dispatch)

  return {
    onData(bytes) {
      audit.requestBytes += bytes.length
      if (relay.isOver) stream.consume(bytes.length)
      else if (isDispatched) body?.push(bytes)
      else first.push(bytes)
    },
    onEnd() {
      body?.end()
    },
    onReset(error) {
      relay.cancel(error)
      body?.destroy()
    },
    onDrain: relay.resume,
  }
}
