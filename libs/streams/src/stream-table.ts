import { AgentError } from '@agent/contracts'

import type { Stream } from './stream.ts'

const lastId = 0xffff_fff0

/** The streams of one session by id: the side that dialled counts in odd numbers, the other in even ones. */
export class StreamTable {
  readonly #isDialer: boolean
  readonly #streams = new Map<number, Stream>()
  /** Opened here, OPEN frame not on its way yet. */
  readonly #unsent = new Set<Stream>()
  #nextId: number
  #peerStreams = 0
  /** The highest id the peer has used. */
  highestSeen = 0

  constructor(role: 'dialer' | 'listener') {
    this.#isDialer = role === 'dialer'
    this.#nextId = this.#isDialer ? 1 : 2
  }

  get size(): number {
    return this.#streams.size + this.#unsent.size
  }

  /** Streams the peer has open. */
  get peerStreams(): number {
    return this.#peerStreams
  }

  /** Streams opened here, sent or not. */
  get ourStreams(): number {
    return this.size - this.#peerStreams
  }

  get isUsedUp(): boolean {
    return this.#nextId > lastId
  }

  get(id: number): Stream | undefined {
    return this.#streams.get(id)
  }

  /** Ids of the streams both sides know. */
  ids(): Iterable<number> {
    return this.#streams.keys()
  }

  /** Streams with an id. */
  known(): Iterable<Stream> {
    return this.#streams.values()
  }

  all(): Stream[] {
    return [...this.#streams.values(), ...this.#unsent]
  }

  addOurs(stream: Stream): void {
    this.#unsent.add(stream)
  }

  /** Gives a stream of ours the next id: its OPEN frame is about to be written. */
  assignId(stream: Stream): void {
    stream.id = this.#nextId
    this.#nextId += 2
    this.#unsent.delete(stream)
    this.#streams.set(stream.id, stream)
  }

  /** Checks an id the peer opens: its own parity, and never used before. */
  see(id: number): void {
    if (id === 0 || !this.isPeers(id)) {
      throw new AgentError('protocol', `the peer may not open stream ${id}`)
    }
    if (id <= this.highestSeen) throw new AgentError('protocol', `stream id ${id} was used before`)
    this.highestSeen = id
  }

  addPeers(id: number, stream: Stream): void {
    stream.id = id
    this.#streams.set(id, stream)
    this.#peerStreams++
  }

  remove(stream: Stream): void {
    this.#unsent.delete(stream)
    if (this.#streams.delete(stream.id) && this.isPeers(stream.id)) this.#peerStreams--
  }

  clear(): void {
    this.#streams.clear()
    this.#unsent.clear()
  }

  /** A frame for a stream that is over is fine; one for a stream that never was is not. */
  assertKnown(id: number): void {
    const known = this.isPeers(id) ? id <= this.highestSeen : id < this.#nextId
    if (id === 0 || !known) throw new AgentError('protocol', `stream ${id} was never opened`)
  }

  isPeers(id: number): boolean {
    return id % 2 === (this.#isDialer ? 0 : 1)
  }
}
