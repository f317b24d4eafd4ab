import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A TCP path that can be broken on purpose. */
export type FaultProxy = AsyncDisposable & {
  port: number
  readonly connections: number
  /** Ends every connection with RST. */
  cut(): void
  /** Keeps all sockets open and forwards nothing, old and new, in either direction. */
  blackHole(): void
  /** Forwards again; what was swallowed stays lost, so old connections are ended. */
  heal(): void
}

/** Forwards a port of loopback to another, until told otherwise. */
export async function startFaultProxy(targetPort: number): Promise<FaultProxy> {
  const pairs = new Set<[Socket, Socket]>()
  let isBlack = false
  const server = createServer({ noDelay: true }, (client) => {
    const target = connect({ port: targetPort, host: '127.0.0.1', noDelay: true })
    const pair: [Socket, Socket] = [client, target]
    pairs.add(pair)
    for (const [from, to] of [pair, pair.toReversed() as [Socket, Socket]]) {
      from.on('data', (bytes) => {
        if (isBlack) return
        if (!to.write(bytes)) from.pause()
      })
      to.on('drain', () => from.resume())
      from.on('end', () => {
        if (!isBlack) to.end()
      })
      from.on('error', () => {})
      from.on('close', () => {
        pairs.delete(pair)
        if (!isBlack) to.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  function cut(): void {
    for (const [client, target] of pairs) {
      client.resetAndDestroy()
      target.resetAndDestroy()
    }
  }
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return pairs.size
    },
    cut,
    blackHole() {
      isBlack = true
    },
    heal() {
      isBlack = false
      cut()
    },
    async [Symbol.asyncDispose]() {
      cut()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
