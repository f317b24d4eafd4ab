import { expect, test } from 'vitest'

import { createBudget } from './budget.ts'

test('a flood is cut to the budget, and a moment later there is room again', () => {
  let nowMs = 0
  const budget = createBudget(20, () => nowMs)
  const taken = (times: number): number => {
    let count = 0
    for (let turn = 0; turn < times; turn++) {
      try {
        budget.take()
        count++
      } catch (error) {
        expect(error).toMatchObject({ code: 'unavailable', retryAfterMs: 1_000 })
      }
    }
    return count
  }
  expect(taken(1_000)).toBe(20)
  nowMs = 100
  expect(taken(1_000)).toBe(2)
  nowMs = 60_000
  expect(taken(1_000)).toBe(20)
})
