/** Asks the server to confirm once this much waits, in bytes. */
const askAboveBytes = 262_144
/** What a server that stopped reading may make us keep, in bytes. */
const maxBytes = 4_194_304

/**
 * Bounds what waits in a client's memory for a server that is there and does not read: bytes count until a round trip
 * confirms them, or until the connection they waited for is gone.
 */
export class Unconfirmed {
  readonly #roundTrip: () => Promise<void>
  #bytes = 0
  #isAsking = false

  constructor(roundTrip: () => Promise<void>) {
    this.#roundTrip = roundTrip
  }

  /** Counts bytes about to be sent; false when they must not be. */
  admit(bytes: number): boolean {
    if (this.#bytes + bytes > maxBytes) return false
    this.#bytes += bytes
    if (this.#bytes > askAboveBytes && !this.#isAsking) void this.#confirm()
    return true
  }

  async #confirm(): Promise<void> {
    this.#isAsking = true
    while (this.#bytes > askAboveBytes) {
      // The round trip begins behind the message that is being admitted.
      await Promise.resolve()
      const asked = this.#bytes
      // A lost connection takes what it had not sent with it.
      await this.#roundTrip().catch(() => {})
      this.#bytes -= asked
    }
    this.#isAsking = false
  }
}
