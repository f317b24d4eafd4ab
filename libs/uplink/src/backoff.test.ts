import { AgentError } from '@agent/contracts'
import { expect, test } from 'vitest'

import { createBackoff } from './backoff.ts'
import { connections } from './connections.ts'

test('waits are 1, 2, 4, 8, 15, 15 … seconds within 25 %', () => {
  for (const random of [0, 0.5, 0.999_999]) {
    const backoff = createBackoff(() => random)
    const factor = 0.75 + random / 2
    const waits = Array.from({ length: 7 }, () => Math.round(backoff.next()))
    expect(waits).toEqual([1, 2, 4, 8, 15, 15, 15].map((s) => Math.round(s * 1_000 * factor)))
  }
})

test('what the server asked for is never undercut', () => {
  for (const random of [0, 0.5, 1]) {
    expect(createBackoff(() => random).next(60_000)).toBeGreaterThanOrEqual(45_000)
    expect(createBackoff(() => random).next(60_000)).toBeGreaterThanOrEqual(60_000)
  }
})

test('a good connection makes the next outage begin with short waits', () => {
  const backoff = createBackoff(() => 0.5)
  for (let turn = 0; turn < 5; turn++) backoff.next()
  backoff.lived(4_999)
  expect(backoff.next()).toBe(15_000)
  backoff.lived(5_000)
  expect(backoff.next()).toBe(1_000)
})

test('refused credentials end the series; anything else is tried again, and told once per reason', async () => {
  const outcomes = [
    'control-plane-unreachable',
    'control-plane-unreachable',
    'unavailable',
    'credentials-refused',
  ] as const
  let turn = 0
  const told: string[] = []
  const series = connections({
    dial: async () => {
      const code = outcomes[turn++] as (typeof outcomes)[number]
      throw new AgentError(code, code)
    },
    backoff: { next: () => 0, lived() {} },
    signal: new AbortController().signal,
    onOutage: (error, _waitMs, isNews) => void told.push(`${error.code} ${isNews}`),
  })
  await expect(series.next()).rejects.toMatchObject({ code: 'credentials-refused' })
  expect(told).toEqual([
    'control-plane-unreachable true',
    'control-plane-unreachable false',
    'unavailable true',
  ])
})
