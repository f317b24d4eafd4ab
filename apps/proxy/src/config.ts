import { KubeConfigFields } from '@agent/kube'
import * as z from 'zod'

const Flag = z.enum(['true', 'false']).transform((value) => value === 'true')
const dnsLabel = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const serviceEntry = new RegExp(`^${dnsLabel}/${dnsLabel}:[0-9]{1,5}$`)

/** A list of `namespace/name:port`, separated by commas. */
const ServiceList = z
  .string()
  .transform((text) =>
    text
      .split(',')
      .map((entry) => entry.trim())
      .filter(Boolean),
  )
  .refine((entries) => entries.every((entry) => serviceEntry.test(entry)), {
    error: 'must be a comma-separated list of namespace/name:port',
  })
  .transform((entries) => new Set(entries))

/** The proxy's environment. */
export const Config = z.object({
  ...KubeConfigFields,
  PROXY_CONNECTIONS: z.coerce
    .number()
    .int()
    .min(1)
    .max(16)
    .default(1)
    .describe('How many stream connections this sidecar keeps open.'),
  PROXY_IMPERSONATE: Flag.default(true).describe(
    'Act as the authenticated user at the API server. Turn off only where the credential is one person’s own kubeconfig.',
  ),
  PROXY_ALLOWED_SERVICES: ServiceList.default(new Set<string>()).describe(
    'Services that may be reached, as namespace/name:port separated by commas; none by default.',
  ),
  PROXY_CANARY_INTERVAL_SECONDS: z.coerce
    .number()
    .min(1)
    .max(60)
    .default(5)
    .describe('How often each connection is tried with a real request.'),
  PIPEOPS_CA_FILE: z
    .string()
    .optional()
    .describe('PEM file of certificate authorities to trust besides the system’s.'),
})
export type Config = z.infer<typeof Config>
