/* oxlint-disable max-lines -- one state machine, read from top to bottom */
import { AgentError } from '@agent/contracts'

import { encodeFrame, FrameDecoder, FrameType, type Frame } from './frame.ts'
import { Grants } from './grants.ts'
import { Liveness } from './liveness.ts'
import {
  decodeGoAway,
  decodeHead,
  decodeReset,
  decodeSync,
  encodeGoAway,
  encodeReset,
  encodeSync,
  type GoAway,
} from './payloads.ts'
import { SendQueue } from './send-queue.ts'
import {
  defaultOptions,
  type SessionHandler,
  type SessionOptions,
  type SessionStats,
} from './session-options.ts'
import { StreamTable } from './stream-table.ts'
import { Stream, type StreamHandler } from './stream.ts'
import { SendCredit } from './window.ts'

/** Many streams over one ordered byte transport. It does no I/O: bytes in by `receive`, out by `take`. */
export class Session {
  readonly #options: Required<SessionOptions>
  readonly #handler: SessionHandler
  readonly #decoder = new FrameDecoder()
  readonly #streams: StreamTable
  readonly #sendCredit: SendCredit
  readonly #grants: Grants
  readonly #queue: SendQueue
  readonly #liveness: Liveness
  #draining = false
  #peerDraining = false
  #closed: AgentError | undefined
  #bytesReceived = 0
  #bytesSent = 0
  #opened = 0
  #resets = 0

  constructor(options: SessionOptions, handler: SessionHandler) {
    this.#options = { ...defaultOptions, ...options }
    this.#handler = handler
    this.#streams = new StreamTable(options.role)
    this.#sendCredit = new SendCredit(options.windows.session)
    this.#grants = new Grants(options.windows, options.now)
    this.#queue = new SendQueue({
      sessionCredit: this.#sendCredit,
      assignId: (stream) => this.#assignId(stream),
      onEnded: (stream) => this.#finishIfDone(stream),
      onServed: (stream) => this.#served(stream),
    })
    this.#liveness = new Liveness(this.#options, options.now())
  }

  get closed(): AgentError | undefined {
    return this.#closed
  }

  /** False once either side drains or the session is over. */
  get acceptsStreams(): boolean {
    return this.#closed === undefined && !this.#draining && !this.#peerDraining
  }

  get stats(): SessionStats {
    return {
      streams: this.#streams.size,
      opened: this.#opened,
      rttMs: this.#liveness.rttMs,
      bytesReceived: this.#bytesReceived,
      bytesSent: this.#bytesSent,
      unconsumedBytes: this.#grants.unconsumed,
      resets: this.#resets,
    }
  }

  /** Opens a stream; throws `draining`, `connection-lost`, `too-many-streams` or `headers-too-large`. */
  open(head: object, handler: StreamHandler): Stream {
    if (this.#closed !== undefined) throw this.#closed
    if (!this.acceptsStreams) throw new AgentError('draining', 'the connection is draining')
    // The peer would refuse it anyway, and what waits for that answer would have no bound.
    if (this.#streams.ourStreams >= this.#options.maxStreams) throw this.#tooManyStreams()
    const stream = this.#createStream(handler)
    stream.sendHead(FrameType.open, head)
    this.#streams.addOurs(stream)
    this.#opened++
    return stream
  }

  /** Takes bytes from the transport; a peer that breaks the protocol closes the session with the reason. */
  receive(bytes: Buffer): void {
    if (this.#closed !== undefined) return
    this.#bytesReceived += bytes.length
    this.#liveness.heard(this.#options.now())
    try {
      this.#decoder.push(bytes, (frame) => {
        if (this.#closed === undefined) this.#dispatch(frame)
      })
    } catch (error) {
      this.close(AgentError.from(error, 'connection'))
    }
  }

  /** The next batch of bytes for the transport, in a buffer of `allocate`, or nothing. */
  take(allocate: (bytes: number) => Buffer = Buffer.allocUnsafe): Buffer | undefined {
    if (this.#closed !== undefined) return undefined
    const batch = this.#queue.take(allocate, this.#grants.frames())
    this.#bytesSent += batch?.length ?? 0
    return batch
  }

  /** Timed work: PING, dead peer, SYNC, shedding. The owner calls it about once a second. */
  tick(): void {
    if (this.#closed !== undefined) return
    const nowMs = this.#options.now()
    if (this.#liveness.isDead(nowMs)) {
      this.close(new AgentError('connection-lost', 'the peer stopped answering'))
      return
    }
    const ping = this.#liveness.dueForPing(nowMs)
    if (ping !== undefined) this.#control(FrameType.ping, 0, ping)
    if (this.#liveness.dueForSync(nowMs)) {
      const payloads = encodeSync(this.#streams.highestSeen, this.#streams.ids())
      const last = payloads.at(-1)
      for (const payload of payloads) this.#control(FrameType.sync, 0, payload, payload === last)
    }
    this.#shed(nowMs)
  }

  /** Asks the peer to open no more streams and refuses those that it does. */
  drain(goAway: GoAway): void {
    if (this.#closed !== undefined || this.#draining) return
    this.#draining = true
    this.#control(FrameType.goAway, 0, encodeGoAway(goAway))
  }

  /** Ends every stream with this error, then the session. */
  close(error: AgentError): void {
    if (this.#closed !== undefined) return
    this.#closed = error
    this.#queue.clear()
    const streams = this.#streams.all()
    this.#streams.clear()
    this.#grants.clear()
    // A handler may reset another stream of the session while it hears of its own end.
    for (const stream of streams) if (!stream.closed) this.#tellReset(stream, error)
    this.#handler.onClose(error)
  }

  #dispatch(frame: Frame): void {
    switch (frame.type) {
      case FrameType.open:
        return this.#onOpen(frame)
      case FrameType.head:
      case FrameType.data:
        return this.#onData(frame)
      case FrameType.reset:
        return this.#onReset(frame)
      case FrameType.credit:
        return this.#onCredit(frame)
      case FrameType.ping:
        return this.#control(FrameType.pong, 0, Buffer.from(frame.payload.subarray(0, 8)))
      case FrameType.pong:
        return this.#liveness.pong(frame.payload, this.#options.now())
      case FrameType.goAway: {
        const goAway = decodeGoAway(frame.payload)
        this.#peerDraining = true
        return this.#handler.onGoAway?.(goAway)
      }
      case FrameType.sync:
        return this.#onSync(frame)
    }
  }

  #onOpen({ streamId: id, payload, fin }: Frame): void {
    this.#streams.see(id)
    const { head, body } = decodeHead(payload)
    this.#grants.received(body.length)
    const refusal = this.#refusal()
    if (refusal !== undefined) {
      this.#release(body.length)
      this.#control(FrameType.reset, id, encodeReset(refusal))
      return
    }
    const stream = this.#createStream(ignore)
    this.#streams.addPeers(id, stream)
    this.#opened++
    try {
      stream.handler = this.#handler.onOpen(stream, head)
    } catch (error) {
      // The bytes are given back here because nobody will ever consume them.
      this.#release(body.length)
      stream.reset(AgentError.from(error, 'connection'))
      return
    }
    this.#deliver(stream, body, fin)
  }

  #onData({ type, streamId, payload, fin }: Frame): void {
    const isHead = type === FrameType.head
    const { head, body } = isHead ? decodeHead(payload) : { head: undefined, body: payload }
    this.#grants.received(body.length)
    const stream = this.#streams.get(streamId)
    if (stream === undefined) {
      this.#streams.assertKnown(streamId)
      // Sent before the peer heard that the stream is over: only the session's credit is at stake.
      this.#release(body.length)
      return
    }
    const violation = this.#violation(stream, isHead)
    if (violation !== undefined) {
      this.#release(body.length)
      stream.reset(violation)
      return
    }
    if (isHead) {
      stream.peerSentHead = true
      this.#guard(stream, () => stream.handler.onHead?.(head))
    }
    this.#deliver(stream, body, fin)
  }

  #violation(stream: Stream, isHead: boolean): AgentError | undefined {
    if (stream.peerEnded) return new AgentError('protocol', 'the peer sent data after its end')
    if (isHead && (stream.peerSentHead || this.#streams.isPeers(stream.id))) {
      return new AgentError('protocol', 'the peer sent a head out of turn')
    }
    return undefined
  }

  /** Hands bytes and end to the consumer; a stream reset on the way gives the bytes back. */
  #deliver(stream: Stream, body: Buffer, fin: boolean): void {
    if (stream.closed) return this.#release(body.length)
    try {
      stream.receiveWindow.receive(body.length)
    } catch (error) {
      this.#release(body.length)
      stream.reset(AgentError.from(error, 'connection'))
      return
    }
    if (body.length > 0) this.#guard(stream, () => stream.handler.onData(body))
    if (!fin || stream.closed) return
    stream.peerEnded = true
    this.#guard(stream, () => stream.handler.onEnd())
    this.#finishIfDone(stream)
  }

  #onReset({ streamId, payload }: Frame): void {
    const stream = this.#streams.get(streamId)
    if (stream === undefined) return this.#streams.assertKnown(streamId)
    this.#forget(stream)
    this.#tellReset(stream, decodeReset(payload))
  }

  #onCredit({ streamId, payload }: Frame): void {
    if (payload.length !== 4) throw new AgentError('protocol', 'a CREDIT frame is cut short')
    const bytes = payload.readUInt32BE(0)
    if (streamId === 0) {
      const wasEmpty = this.#sendCredit.available === 0
      this.#sendCredit.add(bytes)
      if (wasEmpty) for (const stream of this.#streams.all()) this.#queue.add(stream)
    } else {
      const stream = this.#streams.get(streamId)
      if (stream === undefined) return this.#streams.assertKnown(streamId)
      try {
        stream.sendCredit.add(bytes)
      } catch (error) {
        stream.reset(AgentError.from(error, 'connection'))
        return
      }
      this.#queue.add(stream)
    }
    if (!this.#queue.isEmpty) this.#handler.onReady()
  }

  /** Ends what the peer does not know any more: its end got lost, for whatever reason. */
  #onSync({ payload, fin }: Frame): void {
    const { highestSeen, ids } = decodeSync(payload)
    for (const id of ids) {
      const stream = this.#streams.get(id)
      if (stream !== undefined) stream.listed = true
    }
    if (!fin) return
    for (const stream of this.#streams.known()) {
      const peerKnewIt = this.#streams.isPeers(stream.id) || stream.id <= highestSeen
      const isListed = stream.listed
      stream.listed = false
      if (!peerKnewIt || isListed) continue
      this.#forget(stream)
      this.#tellReset(
        stream,
        new AgentError('connection-lost', 'the peer has forgotten the stream'),
      )
    }
  }

  #createStream(handler: StreamHandler): Stream {
    const { windows } = this.#options
    return new Stream(
      {
        now: this.#options.now,
        ready: (stream) => {
          this.#queue.add(stream)
          this.#handler.onReady()
        },
        consumed: (stream, bytes) => this.#onConsumed(stream, bytes),
        abandoned: (stream, error) => this.#abandon(stream, error),
      },
      handler,
      { send: windows.stream, receive: windows.stream, receiveMax: windows.streamMax },
    )
  }

  #onConsumed(stream: Stream, bytes: number): void {
    const rttMs = this.#liveness.rttMs ?? 0
    if (this.#grants.consumed(stream, bytes, rttMs)) this.#handler.onReady()
  }

  /** Gives bytes back that nobody will consume. */
  #release(bytes: number): void {
    if (this.#grants.release(bytes)) this.#handler.onReady()
  }

  #abandon(stream: Stream, error: AgentError): void {
    const known = stream.id !== 0
    this.#forget(stream)
    this.#resets++
    stream.closed = true
    stream.chunks.length = 0
    if (known) this.#control(FrameType.reset, stream.id, encodeReset(error))
  }

  #tellReset(stream: Stream, error: AgentError): void {
    stream.closed = true
    stream.chunks.length = 0
    this.#resets++
    try {
      stream.handler.onReset(error)
    } catch {
      // The stream is over for both sides already; a handler's failure here has nowhere to go.
    }
  }

  #finishIfDone(stream: Stream): void {
    if (stream.closed || !stream.ended || !stream.peerEnded) return
    this.#forget(stream)
    stream.closed = true
  }

  #forget(stream: Stream): void {
    this.#streams.remove(stream)
    if (this.#grants.forget(stream)) this.#handler.onReady()
  }

  #assignId(stream: Stream): void {
    this.#streams.assignId(stream)
    if (this.#streams.isUsedUp) this.drain({ reason: 'stream ids used up', retryAfterMs: 0 })
  }

  #refusal(): AgentError | undefined {
    if (this.#draining) return new AgentError('draining', 'the connection is draining')
    if (this.#streams.peerStreams < this.#options.maxStreams) return undefined
    return this.#tooManyStreams()
  }

  #tooManyStreams(): AgentError {
    return new AgentError(
      'too-many-streams',
      `${this.#options.maxStreams} streams are open on this connection, no more are allowed`,
    )
  }

  /** Under memory pressure, ends the stream whose consumer has been away the longest. */
  #shed(nowMs: number): void {
    if (!this.#grants.isShort) return
    let slowest: Stream | undefined
    for (const stream of this.#streams.known()) {
      const { unconsumed, lastConsumedMs } = stream.receiveWindow
      if (unconsumed === 0 || nowMs - lastConsumedMs < this.#options.stalledAfterMs) continue
      if (slowest === undefined || lastConsumedMs < slowest.receiveWindow.lastConsumedMs) {
        slowest = stream
      }
    }
    if (slowest === undefined) return
    const error = new AgentError('slow-consumer', 'nobody read the stream while memory ran short')
    slowest.reset(error)
    this.#tellReset(slowest, error)
  }

  #guard(stream: Stream, call: () => void): void {
    if (stream.closed) return
    try {
      call()
    } catch (error) {
      this.#fail(stream, error)
    }
  }

  #served(stream: Stream): void {
    try {
      stream.drained()
    } catch (error) {
      this.#fail(stream, error)
    }
  }

  /** A handler threw: its stream is over, for the peer and for itself. */
  #fail(stream: Stream, cause: unknown): void {
    const error = AgentError.from(cause, 'connection')
    stream.reset(error)
    this.#tellReset(stream, error)
  }

  /** Queues a control frame. Called from timers and from other people's handlers, so it closes the session and never throws. */
  #control(type: FrameType, streamId: number, payload: Buffer, fin = false): void {
    if (this.#closed !== undefined) return
    try {
      this.#queue.addControl(encodeFrame(type, streamId, payload, fin))
    } catch (error) {
      return this.close(AgentError.from(error, 'connection'))
    }
    this.#handler.onReady()
  }
}

const ignore: StreamHandler = { onData() {}, onEnd() {}, onReset() {} }
