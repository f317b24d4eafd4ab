/* oxlint-disable max-lines -- one state machine, read from top to bottom */
import { AgentError, type Windows } from '@agent/contracts'

import { encodeFrame, FrameDecoder, FrameType, type Frame } from './frame.ts'
import { Liveness } from './liveness.ts'
import {
  decodeGoAway,
  decodeHead,
  decodeReset,
  decodeSync,
  encodeGoAway,
  encodeReset,
  encodeSync,
  encodeUint32,
  type GoAway,
} from './payloads.ts'
import { SendQueue } from './send-queue.ts'
import { Stream, type StreamHandler } from './stream.ts'
import { ReceiveWindow, SendCredit } from './window.ts'

/** Half of it may wait unread before windows stop growing; three quarters before the slowest stream ends. */
const pressure = { noGrowth: 0.5, shed: 0.75 }

export type SessionOptions = {
  /** The side that dialled opens odd stream ids, the other even ones. */
  role: 'dialer' | 'listener'
  /** What this side lets the peer send; both sides were told the same figures. */
  windows: Windows
  /** Milliseconds on any steady clock. */
  now(): number
  /** Streams the peer may have open at once. */
  maxStreams?: number
  pingIntervalMs?: number
  /** Nothing heard for this long: the peer is dead. */
  deadAfterMs?: number
  syncIntervalMs?: number
  /** Under memory pressure, a stream whose consumer took nothing for this long is ended. */
  stalledAfterMs?: number
}

export type SessionHandler = {
  /** The peer opened a stream: answer with its handler, or throw to refuse it. */
  onOpen(stream: Stream, head: unknown): StreamHandler
  /** The peer wants no new streams. */
  onGoAway?(goAway: GoAway): void
  /** `take` has something to send. */
  onReady(): void
  /** The session is over and every stream was told; called once. */
  onClose(error: AgentError): void
}

/** Counters of one session, for metrics. */
export type SessionStats = {
  streams: number
  opened: number
  rttMs: number | undefined
  bytesReceived: number
  bytesSent: number
  unconsumedBytes: number
  resets: number
}

/** Many streams over one ordered byte transport. It does no I/O: bytes in by `receive`, out by `take`. */
export class Session {
  readonly #options: Required<SessionOptions>
  readonly #handler: SessionHandler
  readonly #decoder = new FrameDecoder()
  readonly #streams = new Map<number, Stream>()
  /** Opened here, OPEN frame not on its way yet. */
  readonly #unsent = new Set<Stream>()
  readonly #sendCredit: SendCredit
  readonly #window: ReceiveWindow
  readonly #queue: SendQueue
  readonly #liveness: Liveness
  readonly #creditOwed = new Map<Stream, number>()
  #sessionCreditOwed = 0
  #nextId: number
  #highestSeen = 0
  #peerStreams = 0
  #draining = false
  #peerDraining = false
  #closed: AgentError | undefined
  #bytesReceived = 0
  #bytesSent = 0
  #opened = 0
  #resets = 0

  constructor(options: SessionOptions, handler: SessionHandler) {
    this.#options = {
      maxStreams: 10_000,
      pingIntervalMs: 3_000,
      deadAfterMs: 9_000,
      syncIntervalMs: 60_000,
      stalledAfterMs: 10_000,
      ...options,
    }
    this.#handler = handler
    this.#nextId = options.role === 'dialer' ? 1 : 2
    const { session } = options.windows
    this.#sendCredit = new SendCredit(session)
    this.#window = new ReceiveWindow(session, session, options.now())
    this.#queue = new SendQueue({
      sessionCredit: this.#sendCredit,
      assignId: (stream) => this.#assignId(stream),
      onEnded: (stream) => this.#finishIfDone(stream),
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
      streams: this.#streams.size + this.#unsent.size,
      opened: this.#opened,
      rttMs: this.#liveness.rttMs,
      bytesReceived: this.#bytesReceived,
      bytesSent: this.#bytesSent,
      unconsumedBytes: this.#window.unconsumed,
      resets: this.#resets,
    }
  }

  /** Opens a stream; throws `draining`, `connection-lost` or `headers-too-large`. */
  open(head: object, handler: StreamHandler): Stream {
    if (this.#closed !== undefined) throw this.#closed
    if (!this.acceptsStreams) throw new AgentError('draining', 'the connection is draining')
    const stream = this.#createStream(handler)
    stream.sendHead(FrameType.open, head)
    this.#unsent.add(stream)
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
    this.#queueCredits()
    const batch = this.#queue.take(allocate)
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
      this.#control(FrameType.sync, 0, encodeSync(this.#highestSeen, this.#streams.keys()))
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
    const streams = [...this.#streams.values(), ...this.#unsent]
    this.#streams.clear()
    this.#unsent.clear()
    this.#creditOwed.clear()
    for (const stream of streams) this.#tellReset(stream, error)
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
    const parity = this.#options.role === 'dialer' ? 0 : 1
    if (id === 0 || id % 2 !== parity) {
      throw new AgentError('protocol', `the peer may not open stream ${id}`)
    }
    if (id <= this.#highestSeen) throw new AgentError('protocol', `stream id ${id} was used before`)
    this.#highestSeen = id
    const { head, body } = decodeHead(payload)
    this.#window.receive(body.length)
    const refusal = this.#refusal()
    if (refusal !== undefined) {
      this.#release(body.length)
      this.#control(FrameType.reset, id, encodeReset(refusal))
      return
    }
    const stream = this.#createStream(ignore)
    stream.id = id
    this.#streams.set(id, stream)
    this.#peerStreams++
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
    this.#window.receive(body.length)
    const stream = this.#streams.get(streamId)
    if (stream === undefined) {
      this.#assertKnown(streamId)
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
    if (isHead && (stream.peerSentHead || this.#isPeers(stream.id))) {
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
    if (stream === undefined) return this.#assertKnown(streamId)
    this.#forget(stream)
    this.#tellReset(stream, decodeReset(payload))
  }

  #onCredit({ streamId, payload }: Frame): void {
    if (payload.length !== 4) throw new AgentError('protocol', 'a CREDIT frame is cut short')
    const bytes = payload.readUInt32BE(0)
    if (streamId === 0) {
      const wasEmpty = this.#sendCredit.available === 0
      this.#sendCredit.add(bytes)
      if (wasEmpty) for (const stream of this.#streams.values()) this.#queue.add(stream)
      if (wasEmpty) for (const stream of this.#unsent) this.#queue.add(stream)
    } else {
      const stream = this.#streams.get(streamId)
      if (stream === undefined) return this.#assertKnown(streamId)
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
  #onSync({ payload }: Frame): void {
    const { highestSeen, ids } = decodeSync(payload)
    for (const stream of this.#streams.values()) {
      const peerKnewIt = this.#isPeers(stream.id) || stream.id <= highestSeen
      if (!peerKnewIt || ids.has(stream.id)) continue
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
    const mayGrow = this.#window.unconsumed < this.#options.windows.session * pressure.noGrowth
    const rttMs = this.#liveness.rttMs ?? 0
    const granted = stream.receiveWindow.consume(bytes, this.#options.now(), rttMs, mayGrow)
    if (granted > 0 && !stream.peerEnded) {
      this.#creditOwed.set(stream, granted + (this.#creditOwed.get(stream) ?? 0))
      this.#handler.onReady()
    }
    this.#release(bytes)
  }

  /** Gives bytes back to the session's window. */
  #release(bytes: number): void {
    if (bytes === 0) return
    const granted = this.#window.consume(bytes, this.#options.now(), 0, false)
    if (granted === 0) return
    this.#sessionCreditOwed += granted
    this.#handler.onReady()
  }

  /** CREDIT frames are written when there is room for them: many grants become one frame. */
  #queueCredits(): void {
    for (const [stream, bytes] of this.#creditOwed) {
      this.#queue.addControl(encodeFrame(FrameType.credit, stream.id, encodeUint32(bytes)))
    }
    this.#creditOwed.clear()
    if (this.#sessionCreditOwed === 0) return
    this.#queue.addControl(encodeFrame(FrameType.credit, 0, encodeUint32(this.#sessionCreditOwed)))
    this.#sessionCreditOwed = 0
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
    this.#unsent.delete(stream)
    this.#creditOwed.delete(stream)
    if (this.#streams.delete(stream.id) && this.#isPeers(stream.id)) this.#peerStreams--
    const { unconsumed } = stream.receiveWindow
    stream.receiveWindow.unconsumed = 0
    this.#release(unconsumed)
  }

  #assignId(stream: Stream): void {
    stream.id = this.#nextId
    this.#nextId += 2
    if (stream.id > 0xffff_fff0) this.drain({ reason: 'stream ids used up', retryAfterMs: 0 })
    this.#unsent.delete(stream)
    this.#streams.set(stream.id, stream)
  }

  #refusal(): AgentError | undefined {
    if (this.#draining) return new AgentError('draining', 'the connection is draining')
    if (this.#peerStreams < this.#options.maxStreams) return undefined
    return new AgentError(
      'too-many-streams',
      `${this.#options.maxStreams} streams are open on this connection, no more are allowed`,
    )
  }

  /** Under memory pressure, ends the stream whose consumer has been away the longest. */
  #shed(nowMs: number): void {
    if (this.#window.unconsumed < this.#options.windows.session * pressure.shed) return
    let slowest: Stream | undefined
    for (const stream of this.#streams.values()) {
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

  #assertKnown(id: number): void {
    const known = this.#isPeers(id) ? id <= this.#highestSeen : id < this.#nextId
    if (id === 0 || !known) throw new AgentError('protocol', `stream ${id} was never opened`)
  }

  #isPeers(id: number): boolean {
    return id % 2 === (this.#options.role === 'dialer' ? 0 : 1)
  }

  #guard(stream: Stream, call: () => void): void {
    if (stream.closed) return
    try {
      call()
    } catch (error) {
      const agentError = AgentError.from(error, 'connection')
      stream.reset(agentError)
      this.#tellReset(stream, agentError)
    }
  }

  #control(type: FrameType, streamId: number, payload: Buffer): void {
    this.#queue.addControl(encodeFrame(type, streamId, payload))
    this.#handler.onReady()
  }
}

const ignore: StreamHandler = { onData() {}, onEnd() {}, onReset() {} }
