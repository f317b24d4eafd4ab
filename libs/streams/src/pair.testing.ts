import type { AgentError, Windows } from '@agent/contracts'

import type { SessionHandler, SessionOptions } from './session-options.ts'
import { Session } from './session.ts'

export const smallWindows: Windows = { stream: 65_536, streamMax: 262_144, session: 1_048_576 }

/** Joins two sessions by a transport that delivers in order, when told to, in pieces of any size. */
export function createPair(
  onOpen: SessionHandler['onOpen'],
  options: Partial<SessionOptions> = {},
  onDialerOpen: SessionHandler['onOpen'] = onOpen,
) {
  const clock = { nowMs: 0 }
  const closed: { dialer?: AgentError; listener?: AgentError } = {}
  const base = { windows: smallWindows, now: () => clock.nowMs, ...options }
  const dialer = new Session(
    { ...base, role: 'dialer' },
    { onOpen: onDialerOpen, onReady() {}, onClose: (error) => void (closed.dialer = error) },
  )
  const listener = new Session(
    { ...base, role: 'listener' },
    { onOpen, onReady() {}, onClose: (error) => void (closed.listener = error) },
  )
  const wires = { toListener: Buffer.alloc(0), toDialer: Buffer.alloc(0) }

  function flush(): boolean {
    let moved = false
    for (const [session, wire] of [
      [dialer, 'toListener'],
      [listener, 'toDialer'],
    ] as const) {
      for (let batch = session.take(); batch !== undefined; batch = session.take()) {
        wires[wire] = Buffer.concat([wires[wire], batch])
        moved = true
      }
    }
    return moved
  }

  function deliver(wire: 'toListener' | 'toDialer', bytes: number): void {
    const piece = wires[wire].subarray(0, bytes)
    wires[wire] = wires[wire].subarray(bytes)
    if (piece.length > 0) (wire === 'toListener' ? listener : dialer).receive(Buffer.from(piece))
  }

  /** Delivers everything until both sides have nothing more to say. */
  function settle(): void {
    while (flush() || wires.toListener.length + wires.toDialer.length > 0) {
      deliver('toListener', wires.toListener.length)
      deliver('toDialer', wires.toDialer.length)
    }
  }

  return { dialer, listener, clock, closed, wires, flush, deliver, settle }
}
