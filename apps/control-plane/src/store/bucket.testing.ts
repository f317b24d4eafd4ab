import { setImmediate as turn } from 'node:timers/promises'

import type { Bucket } from './store.ts'

/** A bucket whose writes are seen a while after they were asked for; the first `failures` fail. */
export function createSlowBucket<T>(failures = 0): Bucket<T> {
  const records = new Map<string, T>()
  return {
    get: (key) => records.get(key),
    values: () => records.values(),
    async put(key, value) {
      await turn()
      if (failures-- > 0) throw new Error('the store is away')
      records.set(key, value)
    },
    async delete(key) {
      records.delete(key)
    },
    onChange: () => ({ [Symbol.dispose]() {} }),
  }
}
