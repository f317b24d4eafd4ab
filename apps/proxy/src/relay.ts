import { AgentError, type Hop, type ResponseHead } from '@agent/contracts'
import { FrameType, type Stream } from '@agent/streams'
import type { Dispatcher } from 'undici'

import type { AuditEntry } from './audit.ts'
import { callError } from './call-error.ts'
import { responseHeaders } from './headers.ts'

/** One HTTP request to make, ready to send. */
export type Call = {
  dispatcher: Dispatcher
  origin: string
  method: string
  target: string
  headers: string[]
  /** The server that answers, for errors. */
  hop: Extract<Hop, 'api-server' | 'service'>
}

/** The way back: what undici reports of the answer goes onto the stream. */
export type Relay = {
  handler: Dispatcher.DispatchHandler
  /** True once the answer is complete or has failed. */
  readonly isOver: boolean
  /** Ends the call because of this side or the client. */
  cancel(error: AgentError): void
  /** The request could not even be sent. */
  fail(error: AgentError): void
  /** The stream can take more. */
  resume(): void
}

/** Relays one answer: head, body with back-pressure, end or failure; writes the audit record when over. */
export function createRelay(stream: Stream, call: Call, audit: AuditEntry): Relay {
  let controller: Dispatcher.DispatchController | undefined
  let isOver = false

  function fail(error: AgentError): void {
    if (isOver) return
    isOver = true
    stream.reset(error)
    audit.close(error)
  }

  return {
    get isOver() {
      return isOver
    },
    cancel(error) {
      if (isOver) return
      isOver = true
      audit.close(error)
      controller?.abort(error)
    },
    fail,
    resume() {
      controller?.resume()
    },
    handler: {
      onRequestStart(started) {
        controller = started
        if (isOver) started.abort(new AgentError('cancelled', 'the request was cancelled'))
      },
      onResponseStart(started, status, _headers, statusText) {
        // An interim answer (1xx) is between the two servers.
        if (status < 200) return
        audit.answered(status)
        stream.sendHead(FrameType.head, responseHead(started, status, statusText ?? '', false))
      },
      onResponseData(started, chunk) {
        audit.responseBytes += chunk.length
        if (!stream.write(chunk)) started.pause()
      },
      onResponseEnd() {
        isOver = true
        stream.end()
        audit.close()
      },
      onResponseError(_started, error) {
        fail(callError(error, call.hop))
      },
    },
  }
}

/** An answer's head with its raw headers: order, case and duplicates as the server sent them. */
export function responseHead(
  controller: Dispatcher.DispatchController,
  status: number,
  statusText: string,
  isUpgrade: boolean,
): ResponseHead {
  const raw = (controller as { rawHeaders?: Buffer[] | null }).rawHeaders ?? []
  const headers = raw.map((bytes) => bytes.toString('latin1'))
  return { status, statusText, headers: responseHeaders(headers, isUpgrade) }
}

/** What every call is dispatched with; streams have no deadline of their own. */
export function dispatchOptions(call: Call) {
  return {
    origin: call.origin,
    path: call.target,
    method: call.method,
    headers: call.headers,
    bodyTimeout: 0,
  }
}
