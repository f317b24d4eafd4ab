import { expect, test } from 'vitest'

import { absenceError, isBrief } from './absence.ts'

const now = Date.parse('2026-01-01T01:00:00Z')
const ago = (ms: number): string => new Date(now - ms).toISOString()
const hour = 3_600_000

test.each([
  ['a connection was here a moment ago', 0, undefined, 59_000, true],
  ['the agent has come a moment ago', 1, ago(59_000), hour, true],
  ['the agent has been away for a minute', 0, undefined, 60_000, false],
  ['the agent has had no connection for a minute', 1, ago(hour), 60_000, false],
  ['the agent came a minute ago and opened none', 1, ago(60_000), hour, false],
] as const)('%s', (_what, agents, connectedSince, missingMs, brief) => {
  const absence = { presence: { agents, connectedSince }, missingMs }
  expect(isBrief(absence, now)).toBe(brief)
  const { code, retryAfterMs, message } = absenceError(absence, now)
  expect([code, retryAfterMs]).toEqual(['cluster-offline', brief ? 1_000 : undefined])
  expect(message).toMatch(agents > 0 ? /its proxy is off or cannot connect/ : /agent is not conn/)
})
