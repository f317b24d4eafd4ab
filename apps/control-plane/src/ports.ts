import type { AgentError, StreamUser } from '@agent/contracts'

/** What a valid user token gives. */
export type Access = {
  user: StreamUser
  clusters: '*' | ReadonlySet<string>
  tokenId: string
  /** When it ends, in milliseconds since the epoch. */
  expiresAtMs: number | undefined
}

/** Who may use the control plane. */
export type Users = {
  /** Reads an `Authorization` header; returns `unauthenticated` or `token-expired` as a value: the path is hot. */
  authenticate(authorization: string | undefined): Access | AgentError
  /** Called when a token stops being valid before its time. */
  onRevoked(listener: (tokenId: string) => void): Disposable
}

/** What a valid ticket says. */
export type TicketClaims = { clusterId: string; agentTokenId: string; instance: string }
