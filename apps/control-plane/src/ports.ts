import type { AgentError, StreamUser } from '@agent/contracts'

/** What a valid user token gives. */
export type Access = {
  user: StreamUser
  clusters: '*' | ReadonlySet<string>
  tokenId: string
  /** Its SHA-256, by which a revocation finds it: the id of a static token is a line number, and moves. */
  tokenHash: string
  /** When it ends, in milliseconds since the epoch. */
  expiresAtMs: number | undefined
}

/** Who may use the control plane. */
export type Users = {
  /** Reads an `Authorization` header; returns `unauthenticated` or `token-expired` as a value: the path is hot. */
  authenticate(authorization: string | undefined): Access | AgentError
  /** Called with the token's SHA-256 when it stops being valid, or being the same, before its time. */
  onRevoked(listener: (tokenHash: string) => void): Disposable
}

/** What a valid ticket says. */
export type TicketClaims = { clusterId: string; agentTokenId: string; instance: string }
