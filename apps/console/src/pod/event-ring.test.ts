import { expect, test } from 'vitest'

import { EventRing } from './event-ring.ts'

const never = new AbortController().signal
const ids = (ring: EventRing<string>, after: number): number[] =>
  ring.after(after).entries.map(({ id }) => id)

test('a reader gets what came after its cursor, in order', () => {
  const ring = new EventRing<string>(10)
  for (const text of ['a', 'b', 'c']) ring.add(text)
  expect(ids(ring, 0)).toEqual([1, 2, 3])
  expect(ids(ring, 2)).toEqual([3])
  expect(ids(ring, 3)).toEqual([])
})

test('a reader that was too slow is told how many it missed', () => {
  const ring = new EventRing<string>(3)
  for (let turn = 0; turn < 10; turn++) ring.add('x')
  expect(ring.after(2)).toMatchObject({ missed: 5, entries: [{ id: 8 }, { id: 9 }, { id: 10 }] })
  expect(ring.after(7).missed).toBe(0)
})

test('a cursor from before a restart starts over', () => {
  const ring = new EventRing<string>(3)
  ring.add('x')
  expect(ids(ring, 4_711)).toEqual([1])
})

test('a waiting reader wakes for news and for its own end, and leaves nothing behind', async () => {
  const ring = new EventRing<string>(3)
  const waiting = ring.news(0, never)
  ring.add('x')
  await waiting
  await ring.news(0, never)
  const gone = new AbortController()
  const abandoned = ring.news(1, gone.signal)
  gone.abort()
  await abandoned
})
