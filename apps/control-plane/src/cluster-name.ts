import * as z from 'zod'

/** A cluster's name: one segment of its URLs. */
export const ClusterName = z
  .string()
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, {
    error: 'must be lower case letters, digits, - and .',
  })
