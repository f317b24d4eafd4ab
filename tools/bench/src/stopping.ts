/**
 * Runs a task with a signal that ends it on Ctrl-C, SIGTERM, or when `gone` settles; a second Ctrl-C ends the process.
 * Returns the exit code.
 */
export async function untilStopped(
  task: (signal: AbortSignal) => Promise<void>,
  options: { progress: (message: string) => void; gone?: Promise<void> },
): Promise<number> {
  const stopping = new AbortController()
  function stop(): void {
    if (stopping.signal.aborted) process.exit(130)
    options.progress('stopping …')
    stopping.abort(new Error('stopped'))
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop)
  void options.gone?.then(() => stopping.abort(new Error('stopped')))
  try {
    await task(stopping.signal)
    return 0
  } catch (error) {
    if (stopping.signal.aborted) return 130
    options.progress((error as Error).message)
    return 1
  }
}
