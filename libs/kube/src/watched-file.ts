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
): Promise<WatchedFile> {
  let text = (await readFile(file, 'utf8')).trim()
  let isReading = false
  async function reread(): Promise<void> {
    if (isReading) return
    isReading = true
    try {
      const next = (await readFile(file, 'utf8')).trim()
      if (next !== '' && next !== text) {
        text = next
        onChange(next)
      }
    } catch {
      // In the middle of a swap, or gone: the last good content stays.
    } finally {
      isReading = false
    }
  }
  const watcher = watch(dirname(file), { persistent: false }, () => void reread())
  watcher.on('error', () => {})
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
