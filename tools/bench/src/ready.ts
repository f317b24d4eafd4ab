import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

const readyMs = 15_000

/** Waits until something accepts connections on a port of this machine. */
export async function untilListening(
  port: number,
  name: string,
  tail: () => Promise<string>,
): Promise<void> {
  const deadline = performance.now() + readyMs
  while (!(await accepts(port))) {
    if (performance.now() > deadline) {
      throw new Error(`${name} did not listen within ${readyMs / 1_000} s:\n${await tail()}`)
    }
    await delay(50)
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
