/** Repeatable randomness (mulberry32). */
export type Random = {
  next(): number
  below(limit: number): number
  chance(share: number): boolean
}

/** Creates a generator; the same seed gives the same sequence. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    next,
    below: (limit) => Math.floor(next() * limit),
    chance: (share) => next() < share,
  }
}
