import { expect, test } from 'vitest'

import { createReviewCache } from './review-cache.ts'

function start() {
  let nowMs = 1_000_000
  let asked = 0
  const cache = createReviewCache(() => nowMs)
  return {
    get asked() {
      return asked
    },
    pass: (ms: number) => (nowMs += ms),
    ask(question: string, answer: boolean | Error = true) {
      return cache(question, async () => {
        asked++
        if (answer instanceof Error) throw answer
        return { allowed: answer }
      })
    },
  }
}

test('a yes is asked again after ten seconds, a no after five, and each question for itself', async () => {
  const cache = start()
  await Promise.all([cache.ask('a'), cache.ask('a')])
  cache.pass(9_999)
  await cache.ask('a')
  expect(cache.asked).toBe(1)
  cache.pass(1)
  expect(await cache.ask('a', false)).toEqual({ allowed: false })
  cache.pass(4_999)
  expect(await cache.ask('a')).toEqual({ allowed: false })
  cache.pass(1)
  expect(await cache.ask('a')).toEqual({ allowed: true })
  expect(await cache.ask('b', false)).toEqual({ allowed: false })
})

test('while nobody can be asked the last yes stands in for ten minutes, for all who ask, and no longer', async () => {
  const cache = start()
  await cache.ask('a')
  cache.pass(599_999)
  const away = new Error('away')
  expect(await Promise.all([cache.ask('a', away), cache.ask('a', away)])).toHaveLength(2)
  cache.pass(5_000)
  await expect(cache.ask('a', away)).rejects.toBe(away)
})

test('a no and a stranger get nothing from an outage', async () => {
  const cache = start()
  const away = new Error('away')
  await expect(cache.ask('stranger', away)).rejects.toBe(away)
  await cache.ask('a')
  cache.pass(10_000)
  await cache.ask('a', false)
  cache.pass(5_000)
  await expect(cache.ask('a', away)).rejects.toBe(away)
})

test('a flood of strangers costs a bounded memory', async () => {
  const cache = start()
  await cache.ask('first')
  for (let index = 0; index < 1_000; index++) await cache.ask(`stranger ${index}`, false)
  await cache.ask('first')
  expect(cache.asked).toBe(1_002)
})
