import type { Bus } from '@agent/bus'
import { consoleAddress, consoleHeaders, type ConsoleOpen } from '@agent/contracts'

import { requestHeaders } from './headers.ts'

const askMs = 2_000

/** Where the console listens, and the secret by which it believes us who the user is. */
export type ConsoleAddress = { url: string; secret: string }

/** Asks the bus where the console is; `unavailable` when it is turned off. */
export function askConsoleAddress(bus: Pick<Bus, 'request'>): Promise<ConsoleAddress> {
  return bus.request(consoleAddress, {}, { timeoutMs: askMs })
}

/** The client's headers less what it could use to pass for somebody else, plus who the control plane says it is. */
export function consoleHeadersFor(request: ConsoleOpen, { secret }: ConsoleAddress): string[] {
  const given = requestHeaders(request.headers, {
    authorization: undefined,
    impersonate: undefined,
  })
  const reserved = new Set<string>([...Object.values(consoleHeaders), 'cookie'])
  const out: string[] = []
  for (let at = 0; at + 1 < given.length; at += 2) {
    const name = given[at] as string
    const key = name.trim().toLowerCase().replaceAll('_', '-')
    if (!reserved.has(key)) out.push(name, given[at + 1] as string)
  }
  const { name, groups } = request.user
  // User names are any text; header values are not.
  out.push(consoleHeaders.secret, secret, consoleHeaders.user, encodeURIComponent(name))
  out.push(consoleHeaders.groups, groups.map(encodeURIComponent).join(','))
  return out
}
