import { AgentError, closeCodes, type Windows } from '@agent/contracts'
import { Session, type SessionHandler } from '@agent/streams'
import type { WebSocket } from 'ws'

import { createBufferPool } from './buffer-pool.ts'

/** The socket's own queue holds this much at most: what waits behind it is still ours to order. */
const maxQueuedBytes = 262_144
const tickMs = 1_000
/** A peer that does not answer our close frame is cut off. */
const closeGraceMs = 2_000

export type SessionSocketOptions = {
  role: 'dialer' | 'listener'
  windows: Windows
  handler: Pick<SessionHandler, 'onOpen' | 'onGoAway'>
  /** Milliseconds on a steady clock. */
  now?: () => number
}

/** A session that lives on a WebSocket. */
export type SessionSocket = {
  session: Session
  /** Settles, never rejects, with the reason once session and socket are both over. */
  closed: Promise<AgentError>
}

/** Runs a session over an open WebSocket, until either of them ends; then both do. */
export function runSession(socket: WebSocket, options: SessionSocketOptions): SessionSocket {
  const { promise: closed, resolve } = Promise.withResolvers<AgentError>()
  let reason: AgentError | undefined
  let pumpScheduled = false
  const pool = createBufferPool()

  const session = new Session(
    {
      role: options.role,
      windows: options.windows,
      now: options.now ?? (() => performance.now()),
    },
    {
      ...options.handler,
      onReady() {
        // One turn of the event loop gathers what many streams have to say into one message.
        if (pumpScheduled) return
        pumpScheduled = true
        setImmediate(pump)
      },
      onClose(error) {
        reason = error
        clearInterval(ticker)
        closeSocket(socket, error)
      },
    },
  )
  const ticker = setInterval(() => session.tick(), tickMs)

  function pump(): void {
    pumpScheduled = false
    while (socket.readyState === socket.OPEN && socket.bufferedAmount < maxQueuedBytes) {
      const batch = session.take(pool.take)
      if (batch === undefined) return
      socket.send(batch, (error) => {
        // Its bytes left the process: there may be room again.
        pool.giveBack(batch)
        if (error == null) pump()
      })
    }
  }

  socket.on('message', (data, isBinary) => {
    if (isBinary && Buffer.isBuffer(data)) session.receive(data)
    else session.close(new AgentError('protocol', 'the peer sent text on a stream connection'))
  })
  socket.on('error', (cause) => {
    session.close(new AgentError('connection-lost', 'the connection failed', { cause }))
  })
  socket.on('close', (code, text) => {
    session.close(
      new AgentError(
        'connection-lost',
        `the peer closed the connection (${code} ${text.toString()})`,
      ),
    )
    resolve(reason as AgentError)
  })
  return { session, closed }
}

function closeSocket(socket: WebSocket, error: AgentError): void {
  if (socket.readyState === socket.CLOSED) return
  const code = error.code === 'protocol' || error.code === 'flow-control' ? 'protocol' : 'goingAway'
  // A close reason is 123 bytes at most (RFC 6455 §5.5).
  socket.close(closeCodes[code], Buffer.from(error.message).subarray(0, 120))
  const timer = setTimeout(() => socket.terminate(), closeGraceMs)
  socket.once('close', () => clearTimeout(timer))
}
