import type { Duplex } from 'node:stream'

import { AgentError, type Hop } from '@agent/contracts'
import { compactBytes, type Stream, type StreamHandler } from '@agent/streams'

/**
 * How long the far side may take to close once the socket here closed in good order. A server that closed has sent all
 * it had, and the client reads that at its own pace (think of a pager): to end the stream early would cut it off. A client
 * that closed reads nothing any more.
 */
const closeGraceMs = { client: 10_000, server: 3_600_000 }

export type PipeOptions = {
  /** Who is at the socket's end, for the error when it vanishes. */
  hop: Hop
  onBytes?(fromStream: number, fromSocket: number): void
  /** Called once: undefined when both ends closed in good order. */
  onOver?(error: AgentError | undefined): void
}

/**
 * Joins a stream to a raw socket, both ways: bytes, half-close, abrupt end, and back-pressure.
 * Returns the handler for the bytes that come from the stream.
 */
export function pipeSocket(stream: Stream, socket: Duplex, options: PipeOptions): StreamHandler {
  let owedBytes = 0
  let state: 'open' | 'socket-ended' | 'socket-closed' | 'over' = 'open'
  let graceTimer: NodeJS.Timeout | undefined

  function finish(error: AgentError | undefined): void {
    if (state === 'over') return
    state = 'over'
    clearTimeout(graceTimer)
    options.onOver?.(error)
  }

  function payCredit(): void {
    stream.consume(owedBytes)
    owedBytes = 0
  }

  socket.on('data', (chunk: Buffer) => {
    options.onBytes?.(0, chunk.length)
    if (!stream.write(chunk)) socket.pause()
  })
  socket.on('end', () => {
    if (state === 'open') state = 'socket-ended'
    stream.end()
  })
  socket.on('drain', payCredit)
  // 'close' follows and tells the stream.
  socket.on('error', () => {})
  socket.on('close', () => {
    if (state === 'over') return
    if (state === 'open') {
      const error = vanished(options.hop)
      stream.reset(error)
      return finish(error)
    }
    if (stream.peerEnded) return finish(undefined)
    // Our last bytes may still be on their way, so no reset: what comes now is dropped until the far end closes.
    state = 'socket-closed'
    payCredit()
    graceTimer = setTimeout(
      () => {
        stream.reset(vanished(options.hop))
        finish(undefined)
      },
      closeGraceMs[options.hop === 'client' ? 'client' : 'server'],
    )
  })

  return {
    onData(bytes) {
      options.onBytes?.(bytes.length, 0)
      if (state === 'socket-closed') return stream.consume(bytes.length)
      // Behind what the socket has not taken yet they will wait, and must not keep their whole message meanwhile.
      const isFree = socket.writableLength === 0
      if (socket.write(isFree ? bytes : compactBytes(bytes))) stream.consume(bytes.length)
      else owedBytes += bytes.length
    },
    onEnd() {
      if (state === 'socket-closed') finish(undefined)
      else socket.end()
    },
    onReset(error) {
      finish(error)
      socket.destroy()
    },
    onDrain() {
      socket.resume()
    },
  }
}

function vanished(hop: Hop): AgentError {
  return hop === 'client'
    ? new AgentError('cancelled', 'the client closed its connection')
    : new AgentError('connection-lost', `the ${hop} closed the connection`, { hop })
}
