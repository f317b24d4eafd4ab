declare const AGENT_VERSION: string | undefined

/** The release this was built as; a run from source says so. */
export const version: string = typeof AGENT_VERSION === 'string' ? AGENT_VERSION : '0.1.0-source'
