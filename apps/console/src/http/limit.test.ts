import { Registry } from 'prom-client'
import { expect, test } from 'vitest'

import { anybody } from '../access/gate.ts'
import { createLimit } from './limit.ts'

function start(most: number) {
  const limit = createLimit(new Registry(), { metric: 'open', help: 'Open now.', most })
  /** A place, or the code of why there is none. */
  return (name: string): Disposable | string => {
    try {
      return limit.enter({ name, groups: [] })
    } catch (error) {
      return (error as Error).message
    }
  }
}

test('one user gets half of the places, rounded up, and another one the rest', () => {
  const enter = start(5)
  const places = [1, 2, 3].map(() => enter('alice') as Disposable)
  expect(enter('alice')).toMatch(/^alice has 3 .* one user$/)
  enter('bob')
  enter('carol')
  expect(enter('dave')).toMatch(/^5 such connections are open/)
  places[0]?.[Symbol.dispose]()
  places[0]?.[Symbol.dispose]()
  expect(enter('alice')).toBeTypeOf('object')
  expect(enter('alice')).toBeTypeOf('string')
})

test('where nobody has a name all places are everybody’s', () => {
  const enter = start(2)
  expect([enter(anybody.name), enter(anybody.name)].map((each) => typeof each)).toEqual([
    'object',
    'object',
  ])
  expect(enter(anybody.name)).toMatch(/^2 such/)
})
