/** Asks the console and makes what it answers into elements; no text of the agent's ever becomes markup. */
export const $ = (id) => document.getElementById(id)

/** This page's latest round trip to the console, in milliseconds; null before the first. */
export let clientMs = null

/** Measures it, with the smallest of the console's answers. */
export async function measureClient() {
  const startedAt = performance.now()
  await ask('health')
  clientMs = Math.round((performance.now() - startedAt) * 10) / 10
}

/** Asks the console; a failure is an Error with words for a person. */
export async function ask(path) {
  const response = await fetch(path, { headers: { accept: 'application/json' } })
  const body = await response.json().catch(() => ({}))
  if (response.status === 401) location.reload()
  if (!response.ok)
    throw new Error(
      body.error
        ? `${body.error.message}. ${body.error.advice}`
        : `the console answered ${response.status}`,
    )
  return body
}

/** How long ago, in words. */
export function ago(time) {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(time)) / 1_000))
  if (seconds < 90) return `${seconds} s`
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800
    ? `${Math.round(seconds / 3_600)} h`
    : `${Math.round(seconds / 86_400)} days`
}

/** An element with that text; `state` colours it. */
export function make(tag, text, properties = {}) {
  const node = document.createElement(tag)
  node.textContent = text
  const { state, ...rest } = properties
  if (state !== undefined) node.dataset.state = state
  return Object.assign(node, rest)
}

/** A number of things, in words. */
export function count(number, thing) {
  return `${number} ${thing}${number === 1 ? '' : 's'}`
}

/** A short word in the colour of its state. */
export function badge(text, state) {
  return make('span', text, { className: 'badge', state })
}
