import { randomBytes, randomUUID } from 'node:crypto'

import { AgentError, type TicketKind } from '@agent/contracts'
import { jwtVerify, SignJWT } from 'jose'
import * as z from 'zod'

import type { TicketClaims } from './ports.ts'
import { SigningKeyRecord } from './store/records.ts'
import type { Store } from './store/store.ts'

const lifeSeconds = 120
const leewaySeconds = 30

const Claims = z.object({
  jti: z.string(),
  exp: z.number(),
  kind: z.string(),
  cluster: z.string(),
  token: z.string(),
  instance: z.string(),
})

/** Issues and checks the tickets that stream connections are opened with. */
export type Tickets = {
  issue(kind: TicketKind, claims: TicketClaims): Promise<{ ticket: string; expiresAt: string }>
  /** Throws `unauthenticated` for what is forged, expired, of another kind, or used before. */
  verify(ticket: string, kind: TicketKind): Promise<TicketClaims>
}

/** Tickets signed (HS256) with a key that all replicas share through the store. */
export async function createTickets(store: Store): Promise<Tickets> {
  const keys = await store.open('signing-keys', SigningKeyRecord)
  if (keys.get('tickets') === undefined) {
    await keys.put('tickets', { secret: randomBytes(32).toString('base64url') })
  }
  const key = Buffer.from((keys.get('tickets') as SigningKeyRecord).secret, 'base64url')
  /** Used tickets, until they have expired anyway. */
  const used = new Map<string, number>()

  return {
    async issue(kind, { clusterId, agentTokenId, instance }) {
      const expiresAt = Math.floor(Date.now() / 1_000) + lifeSeconds
      const ticket = await new SignJWT({ kind, cluster: clusterId, token: agentTokenId, instance })
        .setProtectedHeader({ alg: 'HS256' })
        .setJti(randomUUID())
        .setExpirationTime(expiresAt)
        .sign(key)
      return { ticket, expiresAt: new Date(expiresAt * 1_000).toISOString() }
    },
    async verify(ticket, kind) {
      let claims
      try {
        const options = { algorithms: ['HS256'], clockTolerance: leewaySeconds }
        claims = Claims.parse((await jwtVerify(ticket, key, options)).payload)
      } catch (cause) {
        throw new AgentError('unauthenticated', 'the ticket is not valid', { cause })
      }
      const nowSeconds = Date.now() / 1_000
      for (const [id, exp] of used) if (exp + leewaySeconds < nowSeconds) used.delete(id)
      if (claims.kind !== kind || used.has(claims.jti)) {
        throw new AgentError(
          'unauthenticated',
          'the ticket is for something else, or was used before',
        )
      }
      used.set(claims.jti, claims.exp)
      return { clusterId: claims.cluster, agentTokenId: claims.token, instance: claims.instance }
    },
  }
}
type SigningKeyRecord = z.infer<typeof SigningKeyRecord>
