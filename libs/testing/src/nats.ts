import { type ChildProcess, spawn } from 'node:child_process'
import { type AddressInfo, connect, createServer } from 'node:net'

import { eventually } from './eventually.ts'

/** A real nats-server for one test. */
export type TestNats = AsyncDisposable & { url: string; child: ChildProcess }

/** Starts nats-server, on a free port unless one is given; `program` comes from the toolbox. */
export async function startNats(
  program: string,
  options: { port?: number; token?: string } = {},
): Promise<TestNats> {
  const port = options.port ?? (await freePort())
  const login = options.token === undefined ? [] : ['--auth', options.token]
  const child = spawn(program, ['-a', '127.0.0.1', '-p', String(port), ...login], {
    stdio: 'ignore',
  })
  await eventually(() => accepts(port), { deadlineMs: 5_000, what: 'nats-server listening' })
  return {
    url: `nats://127.0.0.1:${port}`,
    child,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await exited
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
