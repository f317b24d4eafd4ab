import type { IncomingMessage } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

import { AgentError, paths } from '@agent/contracts'
import { getRequestListener } from '@hono/node-server'
import type { Hono } from 'hono'

import type { Agents } from './agents.ts'
import { endSocket } from './end-socket.ts'
import { statusBody } from './kube-status.ts'
import type { KubectlEndpoint } from './kubectl/endpoint.ts'
import type { StreamConnections } from './stream-connections.ts'
import type { Tickets } from './tickets.ts'
import { secureOptions } from './tls-reload.ts'
import type { ServingTls } from './tls.ts'
import { bearerOf } from './users/secrets.ts'

const maxHeaderBytes = 32_768

export type ServerDeps = {
  tls: ServingTls
  kubectl: KubectlEndpoint
  agents: Agents
  connections: StreamConnections
  tickets: Tickets
  agentTokenIsValid(tokenId: string): boolean
  rest: Hono
}

/** The one port: kubectl first, because that path is hot; then agents; then REST. */
export function createApiServer(deps: ServerDeps): Server {
  const rest = getRequestListener(deps.rest.fetch)
  const server = createServer({
    ...secureOptions(deps.tls),
    // SPDY and WebSocket upgrades need HTTP/1.1; clients that could speak HTTP/2 are told here.
    ALPNProtocols: ['http/1.1'],
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: 20_000,
    // Uploads and watches last as long as they last.
    requestTimeout: 0,
    keepAliveTimeout: 75_000,
    noDelay: true,
  })
  server.on('request', (request, response) => {
    if (!deps.kubectl.handle(request, response)) void rest(request, response)
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => {})
    if (deps.kubectl.handleUpgrade(request, socket, head)) return
    upgradeAgent(deps, request, socket, head).catch((cause: unknown) => {
      refuseSocket(socket, AgentError.from(cause, 'control-plane'))
    })
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (!socket.writable) return socket.destroy()
    refuseSocket(
      socket,
      error.code === 'HPE_HEADER_OVERFLOW'
        ? new AgentError('headers-too-large', `the request head is over ${maxHeaderBytes} bytes`)
        : new AgentError('bad-request', 'the request is not valid HTTP'),
    )
  })
  return server
}

/** Binds the port; a port that is taken is a configuration problem. */
export async function listen(server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(
        new AgentError(
          'config-invalid',
          `CONTROL_PLANE_PORT: cannot listen on ${host}:${port} (${cause.code})`,
          {
            cause,
          },
        ),
      )
    })
    server.listen(port, host, resolve)
  })
  return (server.address() as AddressInfo).port
}

async function upgradeAgent(
  deps: ServerDeps,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0]
  if (path === paths.controlSocket) {
    const token = deps.agents.authenticate(request)
    if (token === undefined) throw new AgentError('unauthenticated', 'the agent token is not valid')
    return deps.agents.accept(request, socket, head, token)
  }
  if (path === paths.streamSocket) {
    const ticket = bearerOf(request.headers.authorization) ?? ''
    const claims = await deps.tickets.verify(ticket, 'proxy')
    if (!deps.agentTokenIsValid(claims.agentTokenId)) {
      throw new AgentError('unauthenticated', 'the agent token was revoked')
    }
    const instance = String(request.headers['x-agent-instance'] ?? '').slice(0, 128)
    return deps.connections.accept(request, socket, head, { ...claims, instance })
  }
  throw new AgentError('not-found', 'nothing here can be upgraded')
}

/** Answers on a bare socket, then closes it. */
function refuseSocket(socket: Duplex, error: AgentError): void {
  const body = JSON.stringify(statusBody(error))
  socket.write(
    `HTTP/1.1 ${error.status} Refused\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nDate: ${new Date().toUTCString()}\r\nConnection: close\r\n\r\n${body}`,
  )
  endSocket(socket)
}
