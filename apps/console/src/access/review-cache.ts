import { createHash } from 'node:crypto'

const allowedMs = 10_000
const refusedMs = 5_000
const standInMs = 600_000
const maxEntries = 1_000

type Review = { allowed: boolean }
type Entry = { review: Promise<Review>; untilMs: number; standsInUntilMs: number }

/**
 * Remembers reviews for a short while, by a digest of the question: yes for ten seconds (as Kubernetes' own
 * servers do), no for five. Questions under
 * way are shared. Where nobody can be asked the last yes stands in for ten minutes: a console that shuts out its readers
 * once the API server is away could not tell them so.
 */
export function createReviewCache(now: () => number = () => performance.now()) {
  const entries = new Map<string, Entry>()
  return <R extends Review>(question: string, ask: () => Promise<R>): Promise<R> => {
    const key = createHash('sha256').update(question).digest('base64')
    const known = entries.get(key)
    if (known !== undefined && known.untilMs > now()) return known.review as Promise<R>
    const review = ask().then(
      (answer) => {
        entry.untilMs = now() + (answer.allowed ? allowedMs : refusedMs)
        if (answer.allowed) entry.standsInUntilMs = now() + standInMs
        return answer
      },
      (error: unknown) => {
        // Unless it made room for others meanwhile, and has been asked anew.
        if (entries.get(key) === entry) entries.delete(key)
        if (known === undefined || known.standsInUntilMs <= now()) throw error
        known.untilMs = now() + refusedMs
        entries.set(key, known)
        return known.review as Promise<R>
      },
    )
    const entry: Entry = { review, untilMs: Number.POSITIVE_INFINITY, standsInUntilMs: 0 }
    entries.delete(key)
    if (entries.size >= maxEntries) entries.delete(entries.keys().next().value as string)
    entries.set(key, entry)
    return review
  }
}
