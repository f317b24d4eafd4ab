type LivenessOptions = { pingIntervalMs: number; deadAfterMs: number; syncIntervalMs: number }

/** When to ping, what the round trip is, and when the peer counts as dead. */
export class Liveness {
  readonly #options: LivenessOptions
  #heardMs: number
  #pingedMs = Number.NEGATIVE_INFINITY
  #syncedMs: number
  #sequence = 0
  /** The sequence number of the ping that is on its way. */
  #waitingFor: number | undefined
  #rttMs: number | undefined

  constructor(options: LivenessOptions, nowMs: number) {
    this.#options = options
    this.#heardMs = nowMs
    this.#syncedMs = nowMs
  }

  /**
   * The shortest round trip lately, in milliseconds. The shortest, because a busy process answers late,
   * and a window grown for that would only buy memory.
   */
  get rttMs(): number | undefined {
    return this.#rttMs
  }

  /** Any byte from the peer proves that it lives. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs
  }

  isDead(nowMs: number): boolean {
    return nowMs - this.#heardMs >= this.#options.deadAfterMs
  }

  /** The payload of a ping that is due, or nothing. */
  dueForPing(nowMs: number): Buffer | undefined {
    if (nowMs - this.#pingedMs < this.#options.pingIntervalMs) return undefined
    this.#pingedMs = nowMs
    this.#waitingFor = ++this.#sequence
    const payload = Buffer.alloc(8)
    payload.writeUInt32BE(this.#sequence >>> 0, 4)
    return payload
  }

  /** Reads the answer to our latest ping; any other is ignored. */
  pong(payload: Buffer, nowMs: number): void {
    if (payload.length !== 8 || payload.readUInt32BE(4) !== this.#waitingFor) return
    this.#waitingFor = undefined
    const sampleMs = nowMs - this.#pingedMs
    // Slowly forgets a shortest trip that the path no longer offers.
    this.#rttMs = Math.min(sampleMs, (this.#rttMs ?? sampleMs) * 1.1 + 0.1)
  }

  dueForSync(nowMs: number): boolean {
    if (nowMs - this.#syncedMs < this.#options.syncIntervalMs) return false
    this.#syncedMs = nowMs
    return true
  }
}
