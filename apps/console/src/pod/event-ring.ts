/** Something with its place in the ring: ids grow by one. */
export type Entry<T> = { id: number; value: T }

/** What a reader gets: entries after its cursor, and how many it missed because the ring moved on. */
export type Reading<T> = { entries: Entry<T>[]; missed: number }

/**
 * The latest entries, numbered. Readers keep a cursor of their own and ask when they can take more, so a slow reader
 * costs no memory: it misses entries and is told how many.
 */
export class EventRing<T> {
  readonly #capacity: number
  readonly #entries: Entry<T>[] = []
  readonly #waiting = new Set<() => void>()
  #lastId = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get lastId(): number {
    return this.#lastId
  }

  add(value: T): void {
    this.#entries.push({ id: ++this.#lastId, value })
    if (this.#entries.length > this.#capacity) this.#entries.shift()
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** Entries after `id`, at most `limit`. An id from before a restart, beyond the last one, starts over. */
  after(id: number, limit = 256): Reading<T> {
    const cursor = id > this.#lastId ? 0 : id
    const first = this.#entries[0]?.id ?? this.#lastId + 1
    const missed = Math.max(0, first - 1 - cursor)
    const from = Math.max(0, cursor + 1 - first)
    return { entries: this.#entries.slice(from, from + limit), missed }
  }

  /** Resolves when there is something after `id`, or when the signal ends. */
  async news(id: number, signal: AbortSignal): Promise<void> {
    if (this.#lastId > id || signal.aborted) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#waiting.add(done)
      signal.addEventListener('abort', done)
    })
  }
}
