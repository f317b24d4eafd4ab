import * as z from 'zod'

import { defineRequest } from './contract.ts'
import { hops } from './errors.ts'

/** One step of the connectivity test. */
export const CheckStep = z.strictObject({
  name: z.string(),
  hop: z.enum(hops),
  verdict: z.enum(['ok', 'warn', 'fail', 'skip']),
  durationMs: z.number(),
  /** What was found, in words for a person. */
  text: z.string(),
  /** What to do about it; empty when all is well. */
  advice: z.string(),
})
export type CheckStep = z.infer<typeof CheckStep>

const output = z.strictObject({ steps: z.array(CheckStep) })

/** Tries the way to the control plane, step by step; answered by link, which holds the credential. */
export const checkControlPlane = defineRequest({
  subject: 'agent.check.controlplane',
  input: z.strictObject({}),
  output,
})

/** Tries the API server and the rights at it; answered by a proxy. */
export const checkCluster = defineRequest({
  subject: 'agent.check.cluster',
  input: z.strictObject({}),
  output,
})
