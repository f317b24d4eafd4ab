import { AgentError } from '@agent/contracts'

const maxCredit = 2 ** 31 - 1

/** How many more bytes we may send. */
export class SendCredit {
  available: number

  constructor(initialBytes: number) {
    this.available = initialBytes
  }

  /** Takes up to `bytes` and says how many. */
  take(bytes: number): number {
    const taken = Math.min(bytes, this.available)
    this.available -= taken
    return taken
  }

  /** Adds what the peer granted; more than 2³¹−1 in all is an attack or a bug. */
  add(bytes: number): void {
    if (bytes === 0 || this.available + bytes > maxCredit) {
      throw new AgentError('flow-control', `credit of ${bytes} bytes is out of range`)
    }
    this.available += bytes
  }
}

/** How many more bytes the peer may send us, and when to grant it more. */
export class ReceiveWindow {
  /** Bytes received that the consumer has not taken yet. */
  unconsumed = 0
  /** When the consumer last took something, on the session's clock. */
  lastConsumedMs: number
  #size: number
  readonly #max: number
  /** Bytes the peer may still send. */
  #allowed: number
  /** Consumed, but not granted back yet. */
  #owed = 0
  #lastGrantMs: number

  constructor(size: number, max: number, nowMs: number) {
    this.#size = size
    this.#max = max
    this.#allowed = size
    this.#lastGrantMs = nowMs
    this.lastConsumedMs = nowMs
  }

  /** The window's size now, in bytes. */
  get size(): number {
    return this.#size
  }

  /** Counts bytes that arrived; more than was granted is a violation. */
  receive(bytes: number): void {
    if (bytes > this.#allowed) {
      throw new AgentError('flow-control', `${bytes} bytes came on a credit of ${this.#allowed}`)
    }
    this.#allowed -= bytes
    this.unconsumed += bytes
  }

  /** Counts bytes the consumer took; returns how much credit to send now, 0 for none yet. */
  consume(bytes: number, nowMs: number, rttMs: number, mayGrow: boolean): number {
    if (bytes > this.unconsumed) throw new RangeError('more bytes consumed than received')
    this.unconsumed -= bytes
    this.lastConsumedMs = nowMs
    this.#owed += bytes
    // A quarter at a time: few CREDIT frames, and the sender never runs dry while one travels.
    if (this.#owed < this.#size / 4) return 0
    let granted = this.#owed
    // A quarter taken within half a round trip means that the window, not the consumer, is the limit.
    if (mayGrow && this.#size < this.#max && nowMs - this.#lastGrantMs < rttMs / 2) {
      const growth = Math.min(this.#size, this.#max - this.#size)
      this.#size += growth
      granted += growth
    }
    this.#allowed += granted
    this.#owed = 0
    this.#lastGrantMs = nowMs
    return granted
  }
}
