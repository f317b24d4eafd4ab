import type { Duplex } from 'node:stream'

const lingerMs = 2_000

/** Ends a bare socket whose answer is written: the client has two seconds to close it, too. */
export function endSocket(socket: Duplex): void {
  if (socket.destroyed) return
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timer))
  // Closing over unread bytes is a RST, which may overtake the answer; so they are read, and dropped.
  socket.resume()
  socket.end()
}
