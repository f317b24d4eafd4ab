import {
  AgentError,
  type ConsoleOpen,
  type KubeOpen,
  OpenHead,
  type ServiceOpen,
} from '@agent/contracts'
import type { ApiServer } from '@agent/kube'
import type { Stream, StreamHandler } from '@agent/streams'
import type { Agent } from 'undici'

import { type AuditTrail, openAuditEntry } from './audit.ts'
import { type AllowedServices, authorize } from './authorize.ts'
import { answerProbe } from './canary.ts'
import { type ConsoleAddress, consoleHeadersFor } from './console-address.ts'
import { headerValue, requestHeaders } from './headers.ts'
import { makeCall } from './kube-call.ts'
import type { Call } from './relay.ts'
import { makeUpgrade } from './upgrade.ts'
import { whenKnown } from './when-known.ts'

/** What a stream may need to be served. */
export type OpenContext = {
  api: ApiServer
  /** Connections to Services. */
  services: Agent
  allowedServices: AllowedServices
  /** Where the pod's console is; rejects with `unavailable` when there is none. */
  console(): Promise<ConsoleAddress>
  impersonate: boolean
  audit: AuditTrail
  /** The API server answered a probe after so many milliseconds. */
  onProbe(durationMs: number): void
}

/** Serves a stream the control plane opened: parse, authorize, call. */
export function serveStream(context: OpenContext, stream: Stream, head: unknown): StreamHandler {
  const parsed = OpenHead.safeParse(head)
  if (!parsed.success) {
    throw new AgentError('protocol', 'the stream’s head is malformed', { hop: 'proxy' })
  }
  const open = parsed.data
  if (open.kind === 'canary') return answerProbe(context, stream, open)
  if (open.kind === 'console') return serveConsole(context, stream, open)
  return serveRequest(context, stream, open)
}

function serveRequest(
  context: OpenContext,
  stream: Stream,
  request: KubeOpen | ServiceOpen,
): StreamHandler {
  const decision = authorize(request, {
    services: context.allowedServices,
    hasBasePath: context.api.basePath !== '',
  })
  const upgrade = headerValue(request.headers, 'upgrade')
  const audit = openAuditEntry(context.audit, request, { upgrade, decision })
  if (!decision.allow) {
    const error = new AgentError(decision.code, decision.reason, { hop: 'policy' })
    audit.close(error)
    throw error
  }
  const call = request.kind === 'kube' ? kubeCall(context, request) : serviceCall(context, request)
  return upgrade === undefined
    ? makeCall(stream, call, audit)
    : makeUpgrade(stream, { ...call, upgrade }, audit)
}

/** The console's address is asked of the bus each time: it may be turned off, or restarted elsewhere. */
function serveConsole(context: OpenContext, stream: Stream, request: ConsoleOpen): StreamHandler {
  const upgrade = headerValue(request.headers, 'upgrade')
  const decision = authorize(request, { services: context.allowedServices })
  const audit = openAuditEntry(context.audit, request, { upgrade, decision })
  return whenKnown(
    stream,
    context.console().then(
      (address) => () => {
        const call = consoleCall(context, request, address)
        return upgrade === undefined
          ? makeCall(stream, call, audit)
          : makeUpgrade(stream, { ...call, upgrade }, audit)
      },
      (cause: unknown) => {
        const error = AgentError.from(cause, 'proxy')
        audit.close(error)
        throw error
      },
    ),
  )
}

function kubeCall({ api, impersonate }: OpenContext, request: KubeOpen): Call {
  return {
    dispatcher: api.dispatcher(),
    origin: api.origin,
    method: request.method,
    target: api.basePath + request.target,
    headers: requestHeaders(request.headers, {
      authorization: api.authorization(),
      impersonate: impersonate ? request.user : undefined,
    }),
    hop: 'api-server',
  }
}

function serviceCall({ services }: OpenContext, request: ServiceOpen): Call {
  const { namespace, service, port, scheme } = request
  return {
    dispatcher: services,
    origin: `${scheme}://${service}.${namespace}.svc:${port}`,
    method: request.method,
    target: request.target,
    headers: requestHeaders(request.headers, { authorization: undefined, impersonate: undefined }),
    hop: 'service',
  }
}

function consoleCall(
  { services }: OpenContext,
  request: ConsoleOpen,
  address: ConsoleAddress,
): Call {
  return {
    dispatcher: services,
    origin: address.url,
    method: request.method,
    target: request.target,
    headers: consoleHeadersFor(request, address),
    hop: 'service',
  }
}
