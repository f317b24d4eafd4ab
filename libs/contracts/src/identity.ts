import * as z from 'zod'

import { defineEvent, defineRequest } from './contract.ts'

/** Who this agent is, and whether the control plane knows it. */
export const Identity = z.strictObject({
  agentId: z.string(),
  clusterId: z.string().nullable(),
  clusterName: z.string(),
  registered: z.boolean(),
})
export type Identity = z.infer<typeof Identity>

export const getIdentity = defineRequest({
  subject: 'agent.identity.get',
  input: z.strictObject({}),
  output: Identity,
})

export const identityChanged = defineEvent({ subject: 'agent.identity.changed', payload: Identity })
