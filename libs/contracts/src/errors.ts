/** The places a request passes; an error names the one that failed. */
export const hops = [
  'client',
  'control-plane',
  'connection',
  'link',
  'proxy',
  'policy',
  'api-server',
  'service',
] as const
export type Hop = (typeof hops)[number]

type ErrorFacts = {
  /** HTTP status a client sees. */
  status: number
  /** The hop that usually fails this way. */
  hop: Hop
  /** True only where simply trying again may succeed. */
  retryable: boolean
  /** What a person can do about it. */
  advice: string
}

const table = {
  'bad-request': {
    status: 400,
    hop: 'client',
    retryable: false,
    advice: 'Correct the request and send it again.',
  },
  unauthenticated: {
    status: 401,
    hop: 'control-plane',
    retryable: false,
    advice: 'Send a valid user token; create one with `ctl tokens create`.',
  },
  'token-expired': {
    status: 401,
    hop: 'control-plane',
    retryable: false,
    advice: 'Create a new user token with `ctl tokens create`.',
  },
  forbidden: {
    status: 403,
    hop: 'policy',
    retryable: false,
    advice: 'Ask the cluster administrator to allow this request.',
  },
  'service-not-allowed': {
    status: 403,
    hop: 'policy',
    retryable: false,
    advice: 'Add the Service to the proxy sidecar’s PROXY_ALLOWED_SERVICES.',
  },
  'not-found': {
    status: 404,
    hop: 'control-plane',
    retryable: false,
    advice: 'Check the path against the control plane’s API.',
  },
  'cluster-unknown': {
    status: 404,
    hop: 'control-plane',
    retryable: false,
    advice: 'List the clusters you may use with `ctl clusters list`.',
  },
  conflict: {
    status: 409,
    hop: 'control-plane',
    retryable: false,
    advice: 'Choose another name, or remove the existing object first.',
  },
  'path-too-long': {
    status: 414,
    hop: 'control-plane',
    retryable: false,
    advice: 'Shorten the path and query to 16 KiB at most.',
  },
  'too-many-streams': {
    status: 429,
    hop: 'connection',
    retryable: true,
    advice: 'Close idle watches or add proxy replicas.',
  },
  'headers-too-large': {
    status: 431,
    hop: 'control-plane',
    retryable: false,
    advice: 'Send at most 32 KiB of request headers.',
  },
  cancelled: {
    status: 499,
    hop: 'client',
    retryable: false,
    advice: 'The client ended the request; nothing to do.',
  },
  internal: {
    status: 500,
    hop: 'control-plane',
    retryable: false,
    advice: 'Report this with the request id from the logs.',
  },
  protocol: {
    status: 502,
    hop: 'connection',
    retryable: false,
    advice: 'Run agent and control plane of matching releases.',
  },
  'flow-control': {
    status: 502,
    hop: 'connection',
    retryable: false,
    advice: 'Run agent and control plane of matching releases.',
  },
  'api-server-unreachable': {
    status: 502,
    hop: 'api-server',
    retryable: true,
    advice: 'Check that the API server runs and that the proxy sidecar can reach it.',
  },
  'api-server-untrusted': {
    status: 502,
    hop: 'api-server',
    retryable: false,
    advice: 'Check the cluster CA that is mounted into the proxy sidecar.',
  },
  'service-unreachable': {
    status: 502,
    hop: 'service',
    retryable: true,
    advice: 'Check that the Service has ready endpoints on this port.',
  },
  'slow-consumer': {
    status: 503,
    hop: 'client',
    retryable: false,
    advice: 'Read the answer faster, or ask for less at a time.',
  },
  'connection-lost': {
    status: 503,
    hop: 'connection',
    retryable: true,
    advice: 'Send the request again; the agent reconnects by itself.',
  },
  draining: {
    status: 503,
    hop: 'connection',
    retryable: true,
    advice: 'Send the request again; another connection takes over.',
  },
  'cluster-offline': {
    status: 503,
    hop: 'connection',
    retryable: true,
    advice: 'Check the agent in the cluster: its pod, its logs and its /readyz.',
  },
  unavailable: {
    status: 503,
    hop: 'control-plane',
    retryable: true,
    advice: 'Wait a moment and try again.',
  },
  timeout: {
    status: 504,
    hop: 'proxy',
    retryable: true,
    advice: 'Try again; if it persists, check the hop that is named.',
  },
  'config-invalid': {
    status: 500,
    hop: 'client',
    retryable: false,
    advice: 'Correct the named settings; docs/configuration.md lists them all.',
  },
  'credentials-refused': {
    status: 401,
    hop: 'control-plane',
    retryable: false,
    advice: 'Give the agent a valid token: `ctl agent-tokens create`.',
  },
  'control-plane-unreachable': {
    status: 503,
    hop: 'connection',
    retryable: true,
    advice: 'Check PIPEOPS_API_URL, DNS, the firewall and HTTPS_PROXY.',
  },
  'control-plane-untrusted': {
    status: 502,
    hop: 'connection',
    retryable: true,
    advice: 'Check PIPEOPS_CA_FILE and the control plane’s certificate.',
  },
  'not-a-websocket': {
    status: 502,
    hop: 'control-plane',
    retryable: true,
    advice: 'Check PIPEOPS_API_URL; something that is not the control plane answered.',
  },
  'clock-skewed': {
    status: 401,
    hop: 'control-plane',
    retryable: true,
    advice: 'Correct this machine’s clock (NTP).',
  },
  'rbac-missing': {
    status: 403,
    hop: 'api-server',
    retryable: true,
    advice: 'Grant the agent’s ServiceAccount the role of the chosen install profile.',
  },
} as const satisfies Record<string, ErrorFacts>

/** The closed set of error codes. */
export type ErrorCode = keyof typeof table

/** Every code, for tables and documentation. */
export const errorCodes = Object.keys(table) as ErrorCode[]

/** Status, usual hop and advice of a code. */
export function factsOf(code: ErrorCode): ErrorFacts {
  return table[code]
}

/** What prevented an answer: a code, the hop that failed, and words for a person. */
export class AgentError extends Error {
  override readonly name = 'AgentError'
  readonly code: ErrorCode
  readonly hop: Hop
  /** When the other side asked to be left alone for a while, in milliseconds. */
  readonly retryAfterMs: number | undefined

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; hop?: Hop; retryAfterMs?: number | undefined } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hop = options.hop ?? table[code].hop
    this.retryAfterMs = options.retryAfterMs
  }

  get status(): number {
    return table[this.code].status
  }

  get advice(): string {
    return table[this.code].advice
  }

  /** True only where simply trying again may succeed. */
  get retryable(): boolean {
    return table[this.code].retryable
  }

  /** The same error if it is one of ours already, else an `internal` one around it. */
  static from(error: unknown, hop: Hop): AgentError {
    if (error instanceof AgentError) return error
    const message = error instanceof Error ? error.message : String(error)
    return new AgentError('internal', message, { cause: error, hop })
  }
}

/** Reads a code that came over the wire; one we do not know (a newer peer's) becomes `internal`. */
export function parseErrorCode(value: unknown): ErrorCode {
  return typeof value === 'string' && Object.hasOwn(table, value)
    ? (value as ErrorCode)
    : 'internal'
}

/** Reads a hop that came over the wire; one we do not know becomes the fallback. */
export function parseHop(value: unknown, fallback: Hop): Hop {
  return hops.includes(value as Hop) ? (value as Hop) : fallback
}
