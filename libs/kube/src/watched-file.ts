import { watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'

const pollMs = 60_000

/** A file's latest good content. */
export type WatchedFile = Disposable & { readonly text: string }

/**
 * Follows a mounted file. Kubelet swaps a symlink, so the directory is watched; a slow poll corrects what events
 * missed. What is empty or unreadable never replaces the last good content.
 */
export async function watchFile(
  file: string,
  onChange: (text: string) => void,
  read: (file: string) => Promise<string> = (path) => readFile(path, 'utf8'),
): Promise<WatchedFile> {
  let text = (await read(file)).trim()
  let isReading = false
  /** Something happened while it was read: what was read may be old. */
  let isStale = false
  async function reread(): Promise<void> {
    isStale = true
    if (isReading) return
    isReading = true
    while (isStale) {
      isStale = false
      // In the middle of a swap, or gone: the last good content stays.
      const next = (await read(file).catch(() => '')).trim()
      if (next === '' || next === text) continue
      text = next
      onChange(next)
    }
    isReading = false
  }
  const watcher = watch(dirname(file), { persistent: false }, () => void reread())
  watcher.on('error', () => {})
  // What was written before it was watched.
  await reread()
  const timer = setInterval(() => void reread(), pollMs)
  timer.unref()
  return {
    get text() {
      return text
    },
    [Symbol.dispose]() {
      watcher.close()
      clearInterval(timer)
    },
  }
}
