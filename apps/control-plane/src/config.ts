import * as z from 'zod'

/** The control plane's environment. */
export const Config = z.object({
  CONTROL_PLANE_HOST: z.string().default('0.0.0.0').describe('Address to listen on.'),
  CONTROL_PLANE_PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(8443)
    .describe('Port for agents, kubectl and REST.'),
  CONTROL_PLANE_PUBLIC_URL: z
    .url({ protocol: /^https$/ })
    .optional()
    .describe('How agents and users reach this port; default https://localhost:PORT.'),
  CONTROL_PLANE_DATA_DIR: z
    .string()
    .describe('Directory (0700) for state, generated certificates and the first admin token.'),
  CONTROL_PLANE_TLS_CERT_FILE: z
    .string()
    .optional()
    .describe('PEM certificate chain, read again every minute; generated when not given.'),
  CONTROL_PLANE_TLS_KEY_FILE: z.string().optional().describe('PEM key of the certificate.'),
  CONTROL_PLANE_TOKENS_FILE: z
    .string()
    .optional()
    .describe('Static user tokens as CSV: token,user,uid,"group1,group2"[,"cluster1,cluster2"].'),
  CONTROL_PLANE_NATS_BIN: z
    .string()
    .default('nats-server')
    .describe('The nats-server program that keeps the state.'),
  CONTROL_PLANE_NATS_URL: z
    .url({ protocol: /^(nats|tls)$/ })
    .optional()
    .describe('An external NATS with JetStream instead of the embedded one.'),
  CONTROL_PLANE_NATS_TOKEN_FILE: z
    .string()
    .optional()
    .describe('File with the token for the external NATS; read again at each reconnect.'),
  CONTROL_PLANE_WAIT_SECONDS: z.coerce
    .number()
    .min(0)
    .max(60)
    .default(15)
    .describe('How long a request waits for an agent that went, or came, less than a minute ago.'),
  CONTROL_PLANE_HEARTBEAT_SECONDS: z.coerce
    .number()
    .min(5)
    .max(30)
    .default(30)
    .describe('Heartbeat cadence that agents are told.'),
})
export type Config = z.infer<typeof Config>
