declare const AGENT_VERSION: string | undefined
declare const AGENT_COMMIT: string | undefined
declare const AGENT_BUILD_DATE: string | undefined

/** The release this was built as; a run from source says so. */
export const version: string = typeof AGENT_VERSION === 'string' ? AGENT_VERSION : '0.1.0-source'

/** What was built: release, commit, and the commit's date, so that equal sources build equal bytes. */
export const build = {
  version,
  commit: typeof AGENT_COMMIT === 'string' ? AGENT_COMMIT : 'source',
  buildDate: typeof AGENT_BUILD_DATE === 'string' ? AGENT_BUILD_DATE : 'source',
}
