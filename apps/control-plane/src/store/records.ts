import * as z from 'zod'

/** A cluster that has registered. */
export const ClusterRecord = z.object({
  id: z.string(),
  name: z.string(),
  agentId: z.string(),
  agentVersion: z.string(),
  kubernetesVersion: z.string().nullable(),
  createdAt: z.iso.datetime(),
  registeredAt: z.iso.datetime(),
})
export type ClusterRecord = z.infer<typeof ClusterRecord>

/** An agent's token; the key is its SHA-256. `cluster` binds it to one name. */
export const AgentTokenRecord = z.object({
  id: z.string(),
  hash: z.string(),
  cluster: z.string().nullable(),
  createdAt: z.iso.datetime(),
})
export type AgentTokenRecord = z.infer<typeof AgentTokenRecord>

/** A user's token; the key is its SHA-256. */
export const UserTokenRecord = z.object({
  id: z.string(),
  hash: z.string(),
  user: z.string(),
  groups: z.array(z.string()),
  /** Cluster names; null for all. */
  clusters: z.array(z.string()).nullable(),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().nullable(),
})
export type UserTokenRecord = z.infer<typeof UserTokenRecord>

/** A key that signs tickets. */
export const SigningKeyRecord = z.object({ secret: z.string() })
