/**
 * Runs a task with a signal that ends it on Ctrl-C, SIGTERM, a terminal that is closed, or when `gone` settles, and
 * waits until it has put everything away: what it started would outlive a process that goes at once. Returns the exit
 * code: 130 where it was stopped before it was done.
 */
export async function untilStopped(
  task: (signal: AbortSignal) => Promise<void>,
  options: { progress: (message: string) => void; gone?: Promise<void> },
): Promise<number> {
  const stopping = new AbortController()
  let stoppedAt = 0
  function stop(): void {
    // npm passes on the Ctrl-C that the terminal has sent already.
    if (stopping.signal.aborted && performance.now() - stoppedAt < 500) return
    options.progress(stopping.signal.aborted ? 'still stopping what was started …' : 'stopping …')
    if (!stopping.signal.aborted) stoppedAt = performance.now()
    stopping.abort(new Error('stopped'))
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  // Nobody reads any more where the terminal is gone; that is no reason to leave things behind.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
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
