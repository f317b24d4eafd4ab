/** The picture of a request's way: two rows of stations, each with its state in words, in colour and in time. */
const upper = ['control-plane', 'connection', 'proxy', 'api-server']
const lower = ['control-plane', 'link', 'bus']
const words = { ok: 'works', warn: 'degraded', down: 'broken', unknown: 'not known', off: 'off' }

/** Draws the hops; `clientMs` is this page's own round trip to the console. */
export function drawPath(target, hops, clientMs) {
  const byId = new Map(hops.map((hop) => [hop.id, hop]))
  const client = {
    name: 'You',
    state: 'ok',
    latencyMs: clientMs,
    text: 'this page, to the console and back',
  }
  target.replaceChildren(
    ...row('Requests', [client, ...upper.map((id) => byId.get(id)).filter(Boolean)]),
    ...row('Control', lower.map((id) => byId.get(id)).filter(Boolean)),
  )
}

function row(title, hops) {
  const heading = document.createElement('h3')
  heading.textContent = title
  const list = document.createElement('ol')
  list.append(...hops.map(station))
  return [heading, list]
}

function station({ name, state, latencyMs, text }) {
  const item = document.createElement('li')
  item.dataset.state = state
  item.append(
    part('b', '', name),
    part('span', 'ms', latencyMs === null ? words[state] : `${latencyMs} ms`),
    part('span', 'words', latencyMs === null ? text : `${words[state]} · ${text}`),
  )
  return item
}

function part(tag, className, text) {
  const node = document.createElement(tag)
  if (className !== '') node.className = className
  node.textContent = text
  return node
}
