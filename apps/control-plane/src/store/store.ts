import { AgentError } from '@agent/contracts'
import { jetstream } from '@nats-io/jetstream'
import { type KV, Kvm } from '@nats-io/kv'
import { connect, type NatsConnection, tokenAuthenticator } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import type * as z from 'zod'

import type { NatsAddress } from './external-nats.ts'

/** One kind of record: read from memory, written through to JetStream key-value. */
export type Bucket<T> = {
  get(key: string): T | undefined
  values(): IterableIterator<T>
  /** Writes, and is visible here at once. */
  put(key: string, value: T): Promise<void>
  delete(key: string): Promise<void>
  /** Called for every change, also another replica's; undefined for a deletion. */
  onChange(listener: (key: string, value: T | undefined, before: T | undefined) => void): Disposable
}

/** Everything the control plane remembers. */
export type Store = AsyncDisposable & {
  readonly connected: boolean
  open<T>(name: string, schema: z.ZodType<T>): Promise<Bucket<T>>
}

export type StoreOptions = NatsAddress & {
  log: Logger
  /** How long to wait for the first connection. */
  connectMs?: number
}

/** Connects to NATS and stays connected; reads go on from memory while it is away. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const connection = await connectFirst(options)
  let connected = true
  void (async () => {
    for await (const { type } of connection.status()) {
      if (type === 'disconnect') connected = false
      if (type === 'reconnect') connected = true
      if (type === 'disconnect' || type === 'reconnect')
        options.log.warn({ type }, 'store connection')
    }
  })()
  const kvm = new Kvm(jetstream(connection))
  const watches: (() => void)[] = []
  return {
    get connected() {
      return connected
    },
    async open(name, schema) {
      const kv = await kvm.create(name, { history: 1 })
      const bucket = mirror(kv, schema, options.log)
      watches.push(bucket.stop)
      await bucket.loaded
      return bucket
    },
    async [Symbol.asyncDispose]() {
      for (const stop of watches) stop()
      await connection.close()
    },
  }
}

async function connectFirst({
  url,
  token,
  connectMs = 20_000,
}: StoreOptions): Promise<NatsConnection> {
  const deadline = performance.now() + connectMs
  for (;;) {
    try {
      return await connect({
        servers: url,
        name: 'control-plane',
        ...(token === undefined ? {} : { authenticator: tokenAuthenticator(token) }),
        maxReconnectAttempts: -1,
        // Two refused logins are no reason to give up: the token may be right again a moment later.
        ignoreAuthErrorAbort: true,
        reconnectDelayHandler: () => 200 + Math.random() * 300,
        pingInterval: 3_000,
        maxPingOut: 2,
        timeout: 2_000,
      })
    } catch (cause) {
      if (performance.now() > deadline) {
        // The host alone: a URL may carry a password.
        const { host } = new URL(url)
        const why = (cause as Error).name
        throw new AgentError('unavailable', `NATS at ${host} cannot be used (${why})`, { cause })
      }
      await new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 100))
    }
  }
}

/** Follows a bucket for ever; a watch that ends is begun again, and what it missed is made up for. */
function mirror<T>(
  kv: KV,
  schema: z.ZodType<T>,
  log: Logger,
): Bucket<T> & { stop(): void; loaded: Promise<void> } {
  const entries = new Map<string, T>()
  const listeners = new Set<(key: string, value: T | undefined, before: T | undefined) => void>()
  const loaded = Promise.withResolvers<void>()
  let isStopped = false
  let endWatch: (() => void) | undefined

  function set(key: string, value: T | undefined): void {
    const before = entries.get(key)
    if (value === undefined) entries.delete(key)
    else entries.set(key, value)
    for (const listener of listeners) listener(key, value, before)
  }

  async function follow(): Promise<void> {
    while (!isStopped) {
      try {
        const keys = new Set<string>()
        const status = await kv.status()
        if (status.values === 0) loaded.resolve()
        const watch = await kv.watch()
        endWatch = () => watch.stop()
        for await (const entry of watch) {
          if (entry.operation === 'PUT') {
            keys.add(entry.key)
            const parsed = schema.safeParse(entry.json())
            if (parsed.success) set(entry.key, parsed.data)
            else log.error({ key: entry.key }, 'a stored record cannot be read')
          } else set(entry.key, undefined)
          if (entry.delta === 0) loaded.resolve()
        }
      } catch (error) {
        if (!isStopped) log.warn({ err: error }, 'watching the store failed')
      }
      if (!isStopped) await new Promise((resolve) => setTimeout(resolve, 500 + Math.random() * 500))
    }
  }

  void follow()
  return {
    loaded: loaded.promise,
    get: (key) => entries.get(key),
    values: () => entries.values(),
    async put(key, value) {
      await writing(kv.put(key, JSON.stringify(value)))
      set(key, value)
    },
    async delete(key) {
      await writing(kv.delete(key))
      set(key, undefined)
    },
    onChange(listener) {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
    stop() {
      isStopped = true
      endWatch?.()
    },
  }
}

async function writing(done: Promise<unknown>): Promise<void> {
  try {
    await done
  } catch (cause) {
    throw new AgentError('unavailable', 'the store did not take the change', { cause })
  }
}
