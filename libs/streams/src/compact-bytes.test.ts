import { expect, test } from 'vitest'

import { compactBytes } from './compact-bytes.ts'

test('a small slice is copied into a buffer of its own size, a large one is not copied', () => {
  const message = Buffer.alloc(65_536, 7)
  const small = compactBytes(message.subarray(100, 612))
  expect(small).toEqual(Buffer.alloc(512, 7))
  expect(small.buffer.byteLength).toBe(512)
  const large = message.subarray(0, 32_768)
  expect(compactBytes(large)).toBe(large)
})
