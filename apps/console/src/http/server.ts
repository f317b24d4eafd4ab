import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

import { AgentError, type StreamUser } from '@agent/contracts'
import { getRequestListener } from '@hono/node-server'

import { createApp } from './app.ts'
import type { ConsoleDeps } from './deps.ts'
import { problemFacts } from './problem.ts'
import { createLiveSocket } from './web-socket.ts'

/** Binds the port and serves until disposed of; a port that is taken is a configuration problem. */
export async function serveConsole(deps: ConsoleDeps): Promise<AsyncDisposable & { port: number }> {
  const app = createApp(deps)
  const live = createLiveSocket(deps)
  const listener = getRequestListener(app.fetch)
  const server = createServer(
    {
      headersTimeout: 20_000,
      keepAliveTimeout: 60_000,
      // Java's client and others offer h2c with each request, and expect to be answered all the same.
      shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
    },
    (request, response) => {
      void listener(request, response)
    },
  )
  server.on('upgrade', (request, socket: Duplex, head) => {
    socket.on('error', () => {})
    const admit = (): Promise<StreamUser> => deps.gate.admit(request.headers, 'GET')
    admit()
      .then((user) => {
        if ((request.url ?? '').split('?', 1)[0] !== '/ws') {
          throw new AgentError('not-found', 'nothing here can be upgraded', { hop: 'service' })
        }
        live.accept(request, socket, { head, user, admit })
      })
      .catch((cause: unknown) => refuse(socket, AgentError.from(cause, 'service')))
  })
  const { PIPEOPS_HOST: host, PIPEOPS_PORT: port } = deps.config
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new AgentError(
          'config-invalid',
          `PIPEOPS_PORT: cannot listen on ${host}:${port} (${cause.code})`,
          { cause },
        ),
      ),
    )
    server.listen(port, host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      await live[Symbol.asyncDispose]()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Answers on a bare socket, then closes it. */
function refuse(socket: Duplex, error: AgentError): void {
  const { status } = error
  const body = JSON.stringify({ error: problemFacts(error) })
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
  const timer = setTimeout(() => socket.destroy(), 2_000)
  socket.once('close', () => clearTimeout(timer))
}
