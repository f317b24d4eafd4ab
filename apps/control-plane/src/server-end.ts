import type { Server } from 'node:https'
import { Server as TcpServer, type Socket } from 'node:net'

/** WebSockets need this long for their close frames. */
const closeGraceMs = 2_500

/** A server's end. */
export type ServerEnd = {
  /** Takes no new connections, drains, and cuts what is still open a moment later. */
  close(drain: () => Promise<void>): Promise<void>
}

/** Follows a server's sockets from the start: the server itself only knows those that have spoken HTTP. */
export function prepareServerEnd(server: Server): ServerEnd {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return {
    async close(drain) {
      // Only the port: HTTP's close() also destroys connections whose answer is written but not read yet.
      const closed = new Promise((resolve) => TcpServer.prototype.close.call(server, resolve))
      await drain()
      server.close()
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, closeGraceMs)
      await closed
      clearTimeout(cut)
    },
  }
}
