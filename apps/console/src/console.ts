import { randomBytes } from 'node:crypto'

import { consoleAddress } from '@agent/contracts'
import { build, every, type Sidecar } from '@agent/sidecar'

import { createGate } from './access/gate.ts'
import { openTokenFile } from './access/token-file.ts'
import type { Config } from './config.ts'
import { createConnectivityTest } from './doctor/connectivity.ts'
import { readAssets } from './http/assets.ts'
import { createLimit } from './http/limit.ts'
import { serveConsole } from './http/server.ts'
import { createMetrics } from './metrics/collect.ts'
import { EventRing } from './pod/event-ring.ts'
import { keepHistory } from './pod/history.ts'
import { createLogFeed } from './pod/log-feed.ts'
import { hopsOf } from './pod/path-hops.ts'
import { watchPod } from './pod/pod-view.ts'
import { createReadiness } from './pod/readiness.ts'
import { type Snapshot, takeSnapshot } from './pod/snapshot.ts'

const snapshotMs = 1_000
const busProbeMs = 5_000
const busTimeoutMs = 2_000

/** Serves the diagnostics console: all it knows it learned from the bus. */
export async function startConsole(sidecar: Sidecar<Config>): Promise<void> {
  const { config, bus, log, metrics, scope, signal, status } = sidecar
  const token = await openTokenFile(config.CONSOLE_TOKEN_FILE, log)
  const secret = randomBytes(32).toString('base64url')
  const pod = scope.use(watchPod(bus))
  const logs = scope.use(createLogFeed(bus))
  const expects = config.CONSOLE_EXPECTS
  const readiness = createReadiness(pod, bus, expects)
  const live = new EventRing<Snapshot>(1)
  let busLatencyMs: number | null = null

  const snapshot = (): Snapshot =>
    takeSnapshot(pod, {
      readiness: readiness(),
      hops: hopsOf(pod, { connected: bus.connected, latencyMs: busLatencyMs }, expects),
      version: sidecar.version,
    })
  let lastJson = ''
  void every(snapshotMs, signal, () => {
    const now = snapshot()
    const json = JSON.stringify(now)
    if (json !== lastJson) live.add(now)
    lastJson = json
  })

  const max = config.CONSOLE_MAX_CONNECTIONS
  const server = scope.use(
    await serveConsole({
      config,
      bus,
      log,
      pod,
      logs,
      live,
      snapshot,
      readiness,
      gate: createGate({ bus, isOpen: config.CONSOLE_AUTH === 'none', token, secret }),
      metrics: createMetrics(bus, pod, { registry: metrics, instance: sidecar.instance }),
      history: keepHistory(pod, signal),
      assets: await readAssets(),
      build: { ...build, node: process.version },
      startedAtMs: performance.now(),
      testConnectivity: createConnectivityTest(bus, expects),
      limits: {
        sse: createLimit(metrics, {
          metric: 'pipeops_sse_connections',
          help: 'Server-sent event connections open now.',
          most: max,
        }),
        webSocket: createLimit(metrics, {
          metric: 'pipeops_websocket_connections',
          help: 'WebSocket connections open now.',
          most: max,
        }),
      },
      stopping: signal,
    }),
  )
  scope.use(
    bus.serve(consoleAddress, async () => ({ url: `http://127.0.0.1:${server.port}`, secret })),
  )
  void every(busProbeMs, signal, async () => {
    const startedAt = performance.now()
    // Asks itself: there and back over the bus.
    busLatencyMs = await bus.request(consoleAddress, {}, { timeoutMs: busTimeoutMs }).then(
      () => Math.round((performance.now() - startedAt) * 10) / 10,
      () => null,
    )
  })
  log.info({ port: server.port }, 'serving')
  status.report('ok', '', { port: server.port })
}
