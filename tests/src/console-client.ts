import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'

import { eventually } from '@agent/testing'
import { WebSocket } from 'ws'

import type { System } from './system.ts'

/** One server-sent event as it was read. */
export type ReadEvent = { event: string; data: Record<string, unknown>; id?: number }

/** The console of a system, asked directly and with its own token. */
export type ConsoleClient = {
  url: string
  token: string
  get(path: string, headers?: Record<string, string>): Promise<Response>
  json(path: string): Promise<Record<string, never>>
  /** Reads events until `enough` says so, then hangs up. */
  events(
    path: string,
    enough: (events: ReadEvent[]) => boolean,
    headers?: Record<string, string>,
  ): Promise<ReadEvent[]>
  /** A WebSocket at /ws, open; with another token where one is given. */
  socket(token?: string): Promise<WebSocket>
  /** A client that asks for live events over bare TCP and never reads. */
  deafReader(): Promise<Disposable>
}

/** Opens the console's door with its token. */
export async function openConsole({ stack }: System): Promise<ConsoleClient> {
  const url = stack.consoleUrl
  const token = await readFile(stack.consoleTokenFile, 'utf8')
  const authorization = `Bearer ${token}`
  const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(url + path, {
      headers: { authorization, ...headers },
      redirect: 'manual',
      signal: AbortSignal.timeout(20_000),
    })
  return {
    url,
    token,
    get,
    json: async (path) => (await get(path)).json() as Promise<Record<string, never>>,
    async events(path, enough, headers) {
      const response = await get(path, headers)
      if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`)
      const events: ReadEvent[] = []
      for await (const event of readEvents(response)) {
        events.push(event)
        if (enough(events)) break
      }
      return events
    },
    async socket(given = token) {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, {
        headers: { authorization: `Bearer ${given}` },
      })
      await new Promise((resolve, reject) => {
        socket.once('open', resolve)
        socket.once('error', reject)
      })
      return socket
    },
    async deafReader() {
      const socket = connect(Number(new URL(url).port), '127.0.0.1')
      socket.on('error', () => {})
      await new Promise((resolve) => socket.once('connect', resolve))
      socket.pause()
      socket.write(
        `GET /api/realtime/events?status=true HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\n\r\n`,
      )
      return { [Symbol.dispose]: () => void socket.destroy() }
    },
  }
}

async function* readEvents(response: Response): AsyncGenerator<ReadEvent> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split('\n\n')
    rest = blocks.pop() as string
    for (const block of blocks) {
      const field = (name: string): string | undefined =>
        new RegExp(`^${name}: ?(.*)$`, 'm').exec(block)?.[1]
      const data = field('data')
      if (data === undefined) continue
      const id = field('id')
      yield {
        event: field('event') ?? 'message',
        data: JSON.parse(data) as Record<string, unknown>,
        ...(id === undefined ? {} : { id: Number(id) }),
      }
    }
  }
}

/** The next message of that type on a WebSocket. */
export async function nextMessage(
  socket: WebSocket,
  type: string,
): Promise<{ type: string; timestamp: string; data: Record<string, unknown> }> {
  let found: { type: string; timestamp: string; data: Record<string, unknown> } | undefined
  const take = (bytes: Buffer): void => {
    const message = JSON.parse(bytes.toString('utf8')) as NonNullable<typeof found>
    if (message.type === type) found ??= message
  }
  socket.on('message', take)
  try {
    return await eventually(() => found, {
      deadlineMs: 10_000,
      what: `a ${type} message`,
    })
  } finally {
    socket.off('message', take)
  }
}
