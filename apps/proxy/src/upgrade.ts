import { AgentError } from '@agent/contracts'
import { compactBytes, FrameType, type Stream, type StreamHandler } from '@agent/streams'
import { pipeSocket } from '@agent/uplink'

import type { AuditEntry } from './audit.ts'
import { type Call, createRelay, dispatchOptions, responseHead } from './relay.ts'

/** The API server answers an upgrade only once it reached the kubelet. */
const upgradeTimeoutMs = 30_000

/**
 * Asks the server to switch protocols (SPDY/3.1, WebSocket) and from its 101 on moves raw bytes, whatever they mean.
 * A server that refuses is answered through like any other call.
 */
export function makeUpgrade(
  stream: Stream,
  call: Call & { upgrade: string },
  audit: AuditEntry,
): StreamHandler {
  const relay = createRelay(stream, call, audit)
  /** Bytes of a client that does not wait for the 101; bounded by the stream's window. */
  const early: Buffer[] = []
  let tunnel: StreamHandler | undefined

  try {
    call.dispatcher.dispatch(
      { ...dispatchOptions(call), headersTimeout: upgradeTimeoutMs, upgrade: call.upgrade },
      {
        ...relay.handler,
        onRequestUpgrade(started, status, _headers, socket) {
          if (relay.isOver) return void socket.destroy()
          audit.answered(status)
          stream.sendHead(
            FrameType.head,
            responseHead(started, status, 'Switching Protocols', true),
          )
          tunnel = pipeSocket(stream, socket, {
            hop: call.hop,
            onBytes(fromStream, fromSocket) {
              audit.requestBytes += fromStream
              audit.responseBytes += fromSocket
            },
            onOver: (error) => audit.close(error),
          })
          for (const bytes of early.splice(0)) tunnel.onData(bytes)
          if (stream.peerEnded) tunnel.onEnd()
        },
      },
    )
  } catch (cause) {
    relay.fail(new AgentError('bad-request', 'the request cannot be sent', { cause, hop: 'proxy' }))
  }

  return {
    onData(bytes) {
      if (tunnel !== undefined) tunnel.onData(bytes)
      else if (relay.isOver) stream.consume(bytes.length)
      else early.push(compactBytes(bytes))
    },
    onEnd() {
      tunnel?.onEnd()
    },
    onReset(error) {
      if (tunnel === undefined) relay.cancel(error)
      else tunnel.onReset(error)
    },
    onDrain() {
      if (tunnel === undefined) relay.resume()
      else tunnel.onDrain?.()
    },
  }
}
