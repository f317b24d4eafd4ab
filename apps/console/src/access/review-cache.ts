import { createHash } from 'node:crypto'

const allowedMs = 30_000
const refusedMs = 5_000
const maxEntries = 1_000

type Review = { allowed: boolean }

/**
 * Remembers reviews for a short while, by a digest of the question: yes for thirty seconds, no for five. Questions under
 * way are shared; failures are not remembered.
 */
export function createReviewCache(now: () => number = () => performance.now()) {
  const entries = new Map<string, { untilMs: number; review: Promise<Review> }>()
  return async <R extends Review>(question: string, ask: () => Promise<R>): Promise<R> => {
    const key = createHash('sha256').update(question).digest('base64')
    const known = entries.get(key)
    if (known !== undefined && known.untilMs > now()) return known.review as Promise<R>
    const review = ask()
    entries.delete(key)
    if (entries.size >= maxEntries) entries.delete(entries.keys().next().value as string)
    const entry = { untilMs: Number.POSITIVE_INFINITY, review }
    entries.set(key, entry)
    try {
      const answer = await review
      entry.untilMs = now() + (answer.allowed ? allowedMs : refusedMs)
      return answer
    } catch (error) {
      entries.delete(key)
      throw error
    }
  }
}
