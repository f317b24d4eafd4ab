/** Counts what held and what did not; goes on after a failure. */
export type Checks = {
  /** Runs one check; what it returns is shown beside its name. Tells whether it held. */
  check(name: string, run: () => Promise<string | void>): Promise<boolean>
  readonly passed: number
  readonly failed: number
}

/** `say` gets one line for each check; `explain` what else is known when one fails. After the signal, checks throw. */
export function createChecks(
  say: (line: string) => void,
  explain: () => Promise<string>,
  signal: AbortSignal,
): Checks {
  let passed = 0
  let failed = 0
  return {
    async check(name, run) {
      signal.throwIfAborted()
      const startedAt = performance.now()
      const took = (): string => `${((performance.now() - startedAt) / 1_000).toFixed(1)} s`
      try {
        const note = await run()
        passed++
        say(`ok      ${name} (${took()})${note === undefined ? '' : `: ${note}`}`)
        return true
      } catch (error) {
        // What fails because we stop is no finding.
        signal.throwIfAborted()
        failed++
        say(`FAILED  ${name} (${took()})\n${indent(reasonOf(error))}`)
        say(indent(await explain().catch(reasonOf)))
        return false
      }
    },
    get passed() {
      return passed
    },
    get failed() {
      return failed
    },
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause === undefined ? '' : `\nbecause: ${reasonOf(error.cause)}`
  return `${error.message}${cause}`
}

function indent(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, '        ')
}
