import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import { AgentError, type ConsoleOpen, type KubeOpen, ResponseHead } from '@agent/contracts'
import { compactBytes, type Session, type Stream, type StreamHandler } from '@agent/streams'
import { pipeSocket } from '@agent/uplink'

import { sendStatus } from '../kube-status.ts'

/** A client's request: an ordinary one, or one that may switch protocols on its raw socket. */
export type ClientRequest = {
  request: IncomingMessage
  response: ServerResponse
  /** Set for an upgrade: the socket, and what the client sent behind its request. */
  raw?: { socket: Duplex; head: Buffer }
  /** Which of the answer's headers the client gets; all of them without it. */
  answerHeaders?(headers: string[]): string[]
}

export type RelayEvents = {
  /** No answer has begun and the connection is at fault; true when the request is tried elsewhere. */
  onLost(error: AgentError): boolean
  /** The answer is complete; the client has yet to read the rest of it. */
  onAnswered(): void
  /** The request is over, whichever way: the client has its answer, or none will come. */
  onOver(error: AgentError | undefined): void
}

/** Carries one request over a session and its answer back; returns the stream, which may be reset to end it. */
export function relay(
  session: Session,
  open: KubeOpen | ConsoleOpen,
  client: ClientRequest,
  events: RelayEvents,
): Stream {
  const { request, response, raw } = client
  let owedBytes = 0
  let hasHead = false

  const handler: StreamHandler = {
    onHead(value) {
      const parsed = ResponseHead.safeParse(value)
      if (!parsed.success)
        throw new AgentError('protocol', 'the answer’s head is malformed', { hop: 'proxy' })
      hasHead = true
      const { status, statusText } = parsed.data
      const headers = client.answerHeaders?.(parsed.data.headers) ?? parsed.data.headers
      if (status === 101) return switchProtocols({ ...parsed.data, headers })
      response.writeHead(status, statusText, headers)
      // A watch sends its head long before its first event; a small answer goes out in one piece.
      queueMicrotask(() => response.flushHeaders())
    },
    onData(bytes) {
      // What has to wait must not hold the whole message that it came in.
      const kept = response.writableLength === 0 ? bytes : compactBytes(bytes)
      if (response.write(kept)) stream.consume(bytes.length)
      else owedBytes += bytes.length
    },
    onEnd() {
      // Nothing but a switch of protocols takes what the client of an upgrade might send.
      if (raw !== undefined) stream.end()
      events.onAnswered()
      response.end()
    },
    onReset(error) {
      if (!hasHead && events.onLost(error)) return detach()
      fail(error)
    },
    onDrain() {
      request.resume()
    },
  }

  function switchProtocols(head: ResponseHead): void {
    if (raw === undefined)
      throw new AgentError('protocol', 'an upgrade nobody asked for', { hop: 'proxy' })
    detach()
    response.detachSocket(raw.socket as never)
    raw.socket.write(encodeHead(head), 'latin1')
    if (raw.head.length > 0) raw.socket.unshift(raw.head)
    stream.handler = pipeSocket(stream, raw.socket, { hop: 'client', onOver: events.onOver })
    raw.socket.resume()
  }

  function fail(error: AgentError): void {
    detach()
    sendStatus(response, error, true)
    events.onOver(error)
  }

  function onBody(chunk: Buffer): void {
    if (!stream.write(chunk)) request.pause()
  }
  function onBodyEnd(): void {
    stream.end()
  }
  function onDrain(): void {
    stream.consume(owedBytes)
    owedBytes = 0
  }
  function onClose(): void {
    detach()
    if (response.writableFinished && stream.closed) return events.onOver(undefined)
    const error = new AgentError('cancelled', 'the client closed its connection')
    // Also when answered in full while the client still sent: what is left of its body is of no use.
    stream.reset(error)
    events.onOver(response.writableFinished ? undefined : error)
  }
  function detach(): void {
    request.off('data', onBody)
    request.off('end', onBodyEnd)
    response.off('drain', onDrain)
    response.off('close', onClose)
    // What the client still sends of its body stands before its next request.
    if (raw === undefined) request.resume()
  }

  const stream = session.open(open, handler)
  response.on('drain', onDrain)
  response.on('close', onClose)
  if (raw !== undefined) return stream
  if (hasBody(request)) {
    request.on('data', onBody)
    request.on('end', onBodyEnd)
  } else stream.end()
  return stream
}

/** RFC 9112 §6.3: a request has a body when it says so. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function encodeHead({ status, statusText, headers }: ResponseHead): string {
  let text = `HTTP/1.1 ${status} ${statusText || 'Switching Protocols'}\r\n`
  for (let at = 0; at + 1 < headers.length; at += 2)
    text += `${headers[at]}: ${headers[at + 1]}\r\n`
  return `${text}\r\n`
}
