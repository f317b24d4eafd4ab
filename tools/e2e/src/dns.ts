import { createSocket } from 'node:dgram'
import { once } from 'node:events'

import { space } from '@agent/cluster'

import type { WorldNode } from './world.ts'

/** Where kubelet tells pods that names are resolved. */
const clusterIp = '10.96.0.10'
/** Policies see the port that answers. */
const port = 53
const ttlSeconds = 2
const code = { found: 0, unknown: 3 }
const typeA = 1

type Service = {
  metadata: { name: string; namespace: string }
  spec: { clusterIP: string }
}
type Endpoints = {
  metadata: { labels?: Record<string, string>; namespace: string }
  endpoints?: { addresses: string[] }[] | null
}

/**
 * Names of Services for the node's pods, as a cluster's DNS gives them (A records of RFC 1035, over UDP): the whole node
 * brings none, and charts use them. Answered from the host, with what the API server says at that moment.
 */
export async function startDns(world: WorldNode, scope: AsyncDisposableStack): Promise<void> {
  const socket = createSocket('udp4')
  scope.defer(() => new Promise<void>((resolve) => socket.close(() => resolve())))
  socket.bind(port, space.hostAddress)
  await once(socket, 'listening')
  socket.on('message', (query, from) => {
    answer(query, (name) => resolve(world, name)).then(
      (reply) => socket.send(reply, from.port, from.address),
      // Whoever asked asks again.
      () => {},
    )
  })
  const metadata = { name: 'kube-dns', namespace: 'kube-system' }
  await world.apply(
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { clusterIP: clusterIp, ports: [{ name: 'dns', protocol: 'UDP', port }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'kube-dns' } },
      addressType: 'IPv4',
      ports: [{ name: 'dns', protocol: 'UDP', port }],
      endpoints: [{ addresses: [space.hostAddress] }],
    },
  )
}

/** The addresses of `<service>.<namespace>.svc.cluster.local`; undefined where there is none. */
async function resolve(world: WorldNode, name: string): Promise<string[] | undefined> {
  const [, service, namespace] = /^([^.]+)\.([^.]+)\.svc\.cluster\.local$/i.exec(name) ?? []
  if (service === undefined || namespace === undefined) return undefined
  const { items } = await world.read<{ items: Service[] }>(
    `/api/v1/namespaces/${namespace}/services`,
  )
  const found = items.find(({ metadata }) => metadata.name === service)
  if (found === undefined) return undefined
  if (found.spec.clusterIP !== 'None') return [found.spec.clusterIP]
  const slices = await world.read<{ items: Endpoints[] }>(
    `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?labelSelector=kubernetes.io/service-name=${service}`,
  )
  return slices.items.flatMap(({ endpoints }) =>
    (endpoints ?? []).flatMap(({ addresses }) => addresses),
  )
}

async function answer(
  query: Buffer,
  find: (name: string) => Promise<string[] | undefined>,
): Promise<Buffer> {
  const labels: string[] = []
  let at = 12
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('ascii', at + 1, at + 1 + length))
    at += 1 + length
  }
  const question = query.subarray(12, at + 5)
  const type = query.readUInt16BE(at + 1)
  const addresses = await find(labels.join('.'))
  const records = type === typeA ? (addresses ?? []) : []
  const header = Buffer.alloc(12)
  query.copy(header, 0, 0, 2)
  // An authoritative answer, to a question that may ask for recursion.
  header.writeUInt16BE(0x8580 | (addresses === undefined ? code.unknown : code.found), 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(records.length, 6)
  return Buffer.concat([header, question, ...records.map(toRecord)])
}

function toRecord(address: string): Buffer {
  const record = Buffer.alloc(16)
  // The name is the one in the question.
  record.writeUInt16BE(0xc00c, 0)
  record.writeUInt16BE(typeA, 2)
  record.writeUInt16BE(1, 4)
  record.writeUInt32BE(ttlSeconds, 6)
  record.writeUInt16BE(4, 10)
  for (const [index, part] of address.split('.').entries())
    record.writeUInt8(Number(part), 12 + index)
  return record
}
