import { AgentError, type KubeOpen, OpenHead, type ServiceOpen } from '@agent/contracts'
import type { ApiServer } from '@agent/kube'
import type { Stream, StreamHandler } from '@agent/streams'
import type { Agent } from 'undici'

import { type AuditTrail, openAuditEntry } from './audit.ts'
import { type AllowedServices, authorize } from './authorize.ts'
import { answerProbe } from './canary.ts'
import { headerValue, requestHeaders } from './headers.ts'
import { makeCall } from './kube-call.ts'
import type { Call } from './relay.ts'
import { makeUpgrade } from './upgrade.ts'

/** What a stream may need to be served. */
export type OpenContext = {
  api: ApiServer
  /** Connections to Services. */
  services: Agent
  allowedServices: AllowedServices
  impersonate: boolean
  audit: AuditTrail
}

/** Serves a stream the control plane opened: parse, authorize, call. */
export function serveStream(context: OpenContext, stream: Stream, head: unknown): StreamHandler {
  const parsed = OpenHead.safeParse(head)
  if (!parsed.success) {
    throw new AgentError('protocol', 'the stream’s head is malformed', { hop: 'proxy' })
  }
  const open = parsed.data
  if (open.kind === 'canary') return answerProbe(context.api, stream, open)
  return serveRequest(context, stream, open)
}

function serveRequest(
  context: OpenContext,
  stream: Stream,
  request: KubeOpen | ServiceOpen,
): StreamHandler {
  const decision = authorize(request, { services: context.allowedServices })
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
