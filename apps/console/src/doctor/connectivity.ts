import type { Bus } from '@agent/bus'
import {
  AgentError,
  checkCluster,
  checkControlPlane,
  type CheckStep,
  type Hop,
} from '@agent/contracts'

import { offHere } from '../pod/features.ts'

const checkMs = 40_000

/** What a test of the whole way found. */
export type Connectivity = {
  startedAt: string
  durationMs: number
  verdict: 'ok' | 'warn' | 'fail'
  /** The first hop that is broken; null when none is. */
  brokenHop: Hop | null
  /** What to do about it; empty when all is well. */
  advice: string
  steps: CheckStep[]
}

/** Sums up steps: the first failure decides, else the first remark. */
export function summarize(steps: CheckStep[], started: { at: Date; ms: number }): Connectivity {
  const failed = steps.find(({ verdict }) => verdict === 'fail')
  const remarked = failed ?? steps.find(({ verdict }) => verdict === 'warn')
  return {
    startedAt: started.at.toISOString(),
    durationMs: Math.round(performance.now() - started.ms),
    verdict: failed === undefined ? (remarked === undefined ? 'ok' : 'warn') : 'fail',
    brokenHop: failed?.hop ?? null,
    advice: remarked?.advice ?? '',
    steps,
  }
}

/** Asks link and proxy to try their ways, as far as they run here; one test at a time, which all who ask meanwhile share. */
export function createConnectivityTest(
  bus: Pick<Bus, 'request'>,
  expects: readonly string[],
): () => Promise<Connectivity> {
  let running: Promise<Connectivity> | undefined
  async function ask(
    sidecar: 'link' | 'proxy',
    question: () => Promise<{ steps: CheckStep[] }>,
  ): Promise<CheckStep[]> {
    const startedAt = performance.now()
    try {
      return (await question()).steps
    } catch (cause) {
      const step = { name: `${sidecar} sidecar`, hop: sidecar }
      const durationMs = Math.round(performance.now() - startedAt)
      if (!expects.includes(sidecar)) {
        return [{ ...step, durationMs, verdict: 'skip', text: offHere, advice: '' }]
      }
      const text = `${sidecar} did not answer: ${AgentError.from(cause, sidecar).message}`
      const advice = `Look at the ${sidecar} container: kubectl logs -c ${sidecar}, and whether it is enabled.`
      return [{ ...step, durationMs, verdict: 'fail', text, advice }]
    }
  }
  async function run(): Promise<Connectivity> {
    const started = { at: new Date(), ms: performance.now() }
    const [outside, inside] = await Promise.all([
      ask('link', () => bus.request(checkControlPlane, {}, { timeoutMs: checkMs })),
      ask('proxy', () => bus.request(checkCluster, {}, { timeoutMs: checkMs })),
    ])
    return summarize([...outside, ...inside], started)
  }
  return () => {
    running ??= run().finally(() => (running = undefined))
    return running
  }
}
