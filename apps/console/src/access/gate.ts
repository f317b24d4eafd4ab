import { createHash, timingSafeEqual } from 'node:crypto'

import type { Bus } from '@agent/bus'
import { AgentError, consoleHeaders, reviewAccess, type StreamUser } from '@agent/contracts'
import { isSameOrigin, readSessionCookie } from '@agent/weblogin'

import { createBudget } from './budget.ts'
import { createReviewCache } from './review-cache.ts'
import type { OwnToken } from './token-file.ts'

export const cookieName = 'pipeops_console'
const reviewMs = 5_000
const unknownTokensPerSecond = 20
/** Who comes in where no token is asked for. */
export const anybody: StreamUser = { name: 'system:anonymous', groups: ['system:unauthenticated'] }
/** Whom the console's own token stands for at the API server. */
const tokenUser: StreamUser = { name: 'pipeops:console', groups: ['pipeops:console'] }

/** A request's headers, lower case. */
export type RequestHeaders = Record<string, string | string[] | undefined>

/** Lets callers in, or throws `unauthenticated` or `forbidden`. */
export type Gate = {
  admit(headers: RequestHeaders, method: string): Promise<StreamUser>
}

export type GateOptions = {
  bus: Pick<Bus, 'request'>
  isOpen: boolean
  token: OwnToken
  /** By which requests through the tunnel are known. */
  secret: string
  now?: () => number
}

/** The console's door: the tunnel's secret, the console's token, or a token of the cluster that RBAC lets in. */
export function createGate(options: GateOptions): Gate {
  const { bus, isOpen, token, secret } = options
  const cache = createReviewCache(options.now)
  const budget = createBudget(unknownTokensPerSecond, options.now)

  async function review(
    asker: { token: string } | { user: StreamUser },
    verb: string,
  ): Promise<StreamUser> {
    const answer = await cache(JSON.stringify([asker, verb]), async () => {
      if ('token' in asker) budget.take()
      return bus.request(reviewAccess, { asker, verb }, { timeoutMs: reviewMs })
    })
    if (answer.user === null) throw new AgentError('unauthenticated', answer.reason)
    if (!answer.allowed) throw new AgentError('forbidden', answer.reason)
    return answer.user
  }

  return {
    async admit(headers, method) {
      const verb = method === 'GET' || method === 'HEAD' ? 'get' : 'create'
      const given = one(headers[consoleHeaders.secret])
      if (given !== undefined) {
        if (!isEqual(given, secret)) {
          throw new AgentError('unauthenticated', 'the secret of the tunnel is wrong', {
            hop: 'proxy',
          })
        }
        return review({ user: tunnelUser(headers) }, verb)
      }
      if (!isSameOrigin(one(headers['origin']), one(headers['host']))) {
        throw new AgentError('forbidden', 'a page of another origin may not read this', {
          hop: 'client',
        })
      }
      if (isOpen) return anybody
      const bearer = bearerOf(headers)
      if (bearer === undefined) {
        throw new AgentError('unauthenticated', 'the request carries no token', { hop: 'client' })
      }
      const own = await token()
      if (own !== undefined && isEqual(bearer, own)) return tokenUser
      return review({ token: bearer }, verb)
    },
  }
}

/** The token of a request: its `Authorization` header, or the cookie of somebody who signed in. */
function bearerOf(headers: RequestHeaders): string | undefined {
  const match = /^Bearer +(\S+)$/i.exec(one(headers['authorization']) ?? '')
  return match?.[1] ?? readSessionCookie(one(headers['cookie']), cookieName)
}

function tunnelUser(headers: RequestHeaders): StreamUser {
  const groups = one(headers[consoleHeaders.groups]) ?? ''
  return {
    name: decodeURIComponent(one(headers[consoleHeaders.user]) ?? ''),
    groups: groups === '' ? [] : groups.split(',').map(decodeURIComponent),
  }
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

/** Compares digests, so that neither length nor content shows in the time it takes. */
function isEqual(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
