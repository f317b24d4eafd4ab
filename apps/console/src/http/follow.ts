import type { EventRing } from '../pod/event-ring.ts'

/** What a live reader's connection can do. */
export type Sink<T> = {
  /** Settles when the client took it, rejects when it did not in time. */
  send(entry: { id: number; value: T }): Promise<void>
  /** The reader was too slow and missed this many. */
  gap(missed: number): Promise<void>
}

/**
 * Feeds one client from a ring until the signal ends or the client takes nothing: the next entry is read only once the
 * last one was taken, so a slow client holds nothing but its place.
 */
export async function follow<T>(
  ring: EventRing<T>,
  from: number,
  sink: Sink<T>,
  signal: AbortSignal,
): Promise<void> {
  let cursor = from
  while (!signal.aborted) {
    const { entries, missed } = ring.after(cursor)
    if (missed > 0) await sink.gap(missed)
    for (const entry of entries) {
      if (signal.aborted) return
      await sink.send(entry)
      cursor = entry.id
    }
    if (entries.length > 0) continue
    if (cursor > ring.lastId) cursor = 0
    await ring.news(cursor, signal)
  }
}

/** Fails when `taking` does not settle in time: a client that reads nothing must not be waited for for ever. */
export async function within<T>(taking: Promise<T>, ms: number): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error('the client took nothing')), ms)
  try {
    return await Promise.race([taking, promise])
  } finally {
    clearTimeout(timer)
  }
}
