import * as z from 'zod'

import {
  Connectivity,
  DetailedHealth,
  EventsQuery,
  Features,
  Health,
  HistoryAnswer,
  LogsQuery,
  Problem,
  Ready,
  RecentEvents,
  Runtime,
  Version,
} from './schemas.ts'

type Operation = {
  path: string
  summary: string
  answer?: z.ZodType
  /** Content type of an answer that is no JSON. */
  type?: string
  query?: z.ZodType
  isOpen?: boolean
}

/** Every endpoint, in the order of the documents. */
export const operations: Operation[] = [
  { path: '/health', summary: 'Whether the process lives.', answer: Health, isOpen: true },
  {
    path: '/ready',
    summary: 'Whether the agent does its work; 503 and why if not.',
    answer: Ready,
    isOpen: true,
  },
  { path: '/version', summary: 'What was built, when, from what.', answer: Version, isOpen: true },
  {
    path: '/metrics',
    summary: 'Metrics of the whole pod, labelled by sidecar.',
    type: 'text/plain',
    isOpen: true,
  },
  {
    path: '/api/health/detailed',
    summary: 'All that is known, hop by hop.',
    answer: DetailedHealth,
  },
  {
    path: '/api/status/features',
    summary: 'What is enabled, negotiated, and why not.',
    answer: Features,
  },
  {
    path: '/api/status/connectivity',
    summary: 'Tests every step of the way now.',
    answer: Connectivity,
  },
  {
    path: '/api/metrics/runtime',
    summary: 'Memory, CPU and event loop of each process.',
    answer: Runtime,
  },
  {
    path: '/api/metrics/history',
    summary: 'Throughput, streams and heartbeats of the last hour.',
    answer: HistoryAnswer,
  },
  { path: '/api/events', summary: 'The latest events.', answer: RecentEvents },
  {
    path: '/api/realtime/events',
    summary: 'Events as they happen.',
    type: 'text/event-stream',
    query: EventsQuery,
  },
  {
    path: '/api/realtime/logs',
    summary: 'Logs of the sidecars, or of any pod.',
    type: 'text/event-stream',
    query: LogsQuery,
  },
  { path: '/ws', summary: 'Questions and subscriptions over WebSocket.', type: 'text/plain' },
  { path: '/dashboard', summary: 'The page for people.', type: 'text/html' },
]

/** The OpenAPI 3.1 document of the console, made from the same schemas that parse and answer. */
export function openApiDocument(version: string) {
  const problem = content('application/json', Problem)
  return {
    openapi: '3.1.0',
    info: { title: 'PipeOps agent console', version },
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    security: [{ token: [] }],
    paths: Object.fromEntries(
      operations.map(({ path, summary, answer, type, query, isOpen }) => [
        path,
        {
          get: {
            summary,
            ...(isOpen === true ? { security: [] } : {}),
            ...(query === undefined ? {} : { parameters: parametersOf(query) }),
            responses: {
              200: { description: summary, content: content(type ?? 'application/json', answer) },
              ...(isOpen === true
                ? {}
                : { 401: { description: 'No valid token.', content: problem } }),
              ...(query === undefined
                ? {}
                : { 400: { description: 'The query is wrong.', content: problem } }),
            },
          },
        },
      ]),
    ),
  }
}

function content(type: string, schema: z.ZodType | undefined) {
  return { [type]: schema === undefined ? {} : { schema: z.toJSONSchema(schema) } }
}

function parametersOf(query: z.ZodType) {
  const { properties = {} } = z.toJSONSchema(query, { io: 'input' })
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', schema }))
}
