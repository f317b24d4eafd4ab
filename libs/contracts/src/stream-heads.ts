import * as z from 'zod'

/** Names and values in turn, `[name, value, name, value]`, as they came: order, case and duplicates kept. */
export const RawHeaders = z.array(z.string()).max(2_000)
export type RawHeaders = z.infer<typeof RawHeaders>

/** The authenticated user a request is made for (Kubernetes user and groups). */
export const StreamUser = z.object({
  name: z.string().min(1).max(256),
  groups: z.array(z.string().max(256)).max(64),
})
export type StreamUser = z.infer<typeof StreamUser>

const http = {
  id: z.string().max(64),
  method: z.string().regex(/^[A-Z]{1,16}$/),
  /** Path and query exactly as the client sent them. */
  target: z.string().startsWith('/').max(16_384),
  headers: RawHeaders,
  user: StreamUser,
}

/** An HTTP call to the API server; an upgrade stays bytes after the 101. */
export const KubeOpen = z.object({ kind: z.literal('kube'), ...http })
export type KubeOpen = z.infer<typeof KubeOpen>

/** An HTTP call to a Service that the cluster's administrator allowed. */
export const ServiceOpen = z.object({
  kind: z.literal('service'),
  ...http,
  namespace: z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/),
  service: z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/),
  port: z.int().min(1).max(65_535),
  scheme: z.enum(['http', 'https']),
})
export type ServiceOpen = z.infer<typeof ServiceOpen>

/** An HTTP call to the pod's own diagnostics console. */
export const ConsoleOpen = z.object({ kind: z.literal('console'), ...http })
export type ConsoleOpen = z.infer<typeof ConsoleOpen>

/**
 * `request`: the agent asks the control plane to try this connection; `probe`: the control plane does so,
 * and the proxy answers with what the API server said to a fixed `GET /readyz`.
 */
export const CanaryOpen = z.object({
  kind: z.literal('canary'),
  step: z.enum(['request', 'probe']),
})
export type CanaryOpen = z.infer<typeof CanaryOpen>

/** The JSON head of an OPEN frame. */
export const OpenHead = z.discriminatedUnion('kind', [
  KubeOpen,
  ServiceOpen,
  ConsoleOpen,
  CanaryOpen,
])
export type OpenHead = z.infer<typeof OpenHead>

/** The JSON head of a HEAD frame: an HTTP response's status line and headers. */
export const ResponseHead = z.object({
  status: z.int().min(100).max(599),
  statusText: z.string().max(1_024),
  headers: RawHeaders,
})
export type ResponseHead = z.infer<typeof ResponseHead>
