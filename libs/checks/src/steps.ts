import { AgentError, type CheckStep, type Hop } from '@agent/contracts'

/** What a step found: fine, or fine with a remark. A step that fails throws an `AgentError`. */
export type Found = { text: string; advice?: string; verdict?: 'ok' | 'warn' | 'skip' }

/** One step to take: what it is called, what it tries, and which hop a failure blames. */
export type StepPlan = { name: string; hop: Hop; run(): Promise<Found> | Found }

/** Takes steps in order; after a failure the rest is skipped, because it would only fail too. */
export async function takeSteps(plans: readonly StepPlan[]): Promise<CheckStep[]> {
  const steps: CheckStep[] = []
  let failed: string | undefined
  for (const { name, hop, run } of plans) {
    if (failed !== undefined) {
      const text = `not tried: ${failed} failed`
      steps.push({ name, hop, verdict: 'skip', durationMs: 0, text, advice: '' })
      continue
    }
    const startedAt = performance.now()
    const took = (): number => Math.round((performance.now() - startedAt) * 10) / 10
    try {
      const { text, advice = '', verdict = 'ok' } = await run()
      steps.push({ name, hop, verdict, durationMs: took(), text, advice })
    } catch (cause) {
      failed = name
      const error = AgentError.from(cause, hop)
      const { message: text, advice } = error
      steps.push({ name, hop: error.hop, verdict: 'fail', durationMs: took(), text, advice })
    }
  }
  return steps
}
