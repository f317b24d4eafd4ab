import { AgentError } from '@agent/contracts'
import { compactBytes, type Stream, type StreamHandler } from '@agent/streams'

/**
 * A handler for a stream whose real one takes a moment to find. It is made only then, right before it gets what came
 * meanwhile (the stream's window bounds that); a failure resets the stream.
 */
export function whenKnown(stream: Stream, finding: Promise<() => StreamHandler>): StreamHandler {
  let real: StreamHandler | undefined
  let reset: AgentError | undefined
  const waiting: Buffer[] = []
  let hasEnded = false

  finding
    .then((make) => {
      const handler = make()
      real = handler
      if (reset !== undefined) return handler.onReset(reset)
      for (const bytes of waiting.splice(0)) handler.onData(bytes)
      if (hasEnded) handler.onEnd()
    })
    .catch((cause: unknown) => stream.reset(AgentError.from(cause, 'proxy')))

  return {
    onData(bytes) {
      if (real === undefined) waiting.push(compactBytes(bytes))
      else real.onData(bytes)
    },
    onEnd() {
      hasEnded = true
      real?.onEnd()
    },
    onReset(error) {
      reset = error
      real?.onReset(error)
    },
    onDrain() {
      real?.onDrain?.()
    },
  }
}
