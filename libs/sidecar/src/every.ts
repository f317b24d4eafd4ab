/** Runs a task again and again, `intervalMs` ±10 % apart, until the signal; the task's own time is not counted. */
export async function every(
  intervalMs: number,
  signal: AbortSignal,
  task: () => Promise<void> | void,
  random: () => number = Math.random,
): Promise<void> {
  while (!signal.aborted) {
    await task()
    await pause(intervalMs * (0.9 + random() * 0.2), signal)
  }
}

/** Waits, or returns early when the signal ends; never rejects. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
