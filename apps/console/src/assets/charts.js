/** Small SVG charts. Everything is built with DOM calls: no text of the agent's ever becomes markup. */
const namespace = 'http://www.w3.org/2000/svg'
const width = 360
const height = 112
const inset = { left: 4, right: 4, top: 14, bottom: 16 }

function element(name, attributes, ...children) {
  const node = document.createElementNS(namespace, name)
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value)
  node.append(...children)
  return node
}

function frame(label, ...children) {
  const bottom = height - inset.bottom
  return element(
    'svg',
    { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label },
    element('line', {
      class: 'axis',
      x1: inset.left,
      x2: width - inset.right,
      y1: bottom,
      y2: bottom,
    }),
    ...children,
  )
}

function label(x, y, anchor, text) {
  return element('text', { x, y, 'text-anchor': anchor }, document.createTextNode(text))
}

function clock(time) {
  return new Date(time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
}

/** Lines over time; `series` are `{name, of(point)}`, `format` turns a value into words. */
export function drawLines(target, { points, series, format, what }) {
  if (points.length < 2) {
    target.replaceChildren(
      note('Two measurements make the first line; they come every five seconds.'),
    )
    return
  }
  const most = Math.max(1, ...points.flatMap((point) => series.map(({ of }) => of(point))))
  const x = (index) =>
    inset.left + (index / (points.length - 1)) * (width - inset.left - inset.right)
  const y = (value) => height - inset.bottom - (value / most) * (height - inset.top - inset.bottom)
  const lines = series.map(({ name, of }) =>
    element('polyline', {
      class: `line ${name}`,
      points: points
        .map((point, index) => `${x(index).toFixed(1)},${y(of(point)).toFixed(1)}`)
        .join(' '),
    }),
  )
  const now = series.map(({ name, of }) => `${name} ${format(of(points.at(-1)))}`).join(', ')
  target.replaceChildren(
    frame(
      `${what}: now ${now}, at most ${format(most)}`,
      ...lines,
      label(inset.left, 11, 'start', format(most)),
      label(inset.left, height - 3, 'start', clock(points[0].time)),
      label(width - inset.right, height - 3, 'end', clock(points.at(-1).time)),
    ),
  )
}

/** One bar for each heartbeat: its height is the round trip, its colour and a full height say that it was missed. */
export function drawBeats(target, beats) {
  if (beats.length === 0) {
    target.replaceChildren(note('No heartbeat was sent yet.'))
    return
  }
  const hourMs = 3_600_000
  const now = Date.now()
  const first = Math.max(now - hourMs, Date.parse(beats[0].time) - 60_000)
  const most = Math.max(10, ...beats.map(({ durationMs, ok }) => (ok ? durationMs : 0)))
  const room = height - inset.top - inset.bottom
  const bars = beats.map(({ time, ok, durationMs }) => {
    const x =
      inset.left +
      ((Date.parse(time) - first) / (now - first)) * (width - inset.left - inset.right - 3)
    const tall = ok ? Math.max(3, (durationMs / most) * room) : room
    return element('rect', {
      class: ok ? 'beat' : 'missed',
      x: x.toFixed(1),
      y: (height - inset.bottom - tall).toFixed(1),
      width: 2.5,
      height: tall.toFixed(1),
    })
  })
  const missed = beats.filter(({ ok }) => !ok).length
  target.replaceChildren(
    frame(
      `${beats.length} heartbeats, ${missed} not acknowledged, slowest ${Math.round(most)} ms`,
      ...bars,
      label(inset.left, 11, 'start', `${Math.round(most)} ms`),
      label(inset.left, height - 3, 'start', clock(first)),
      label(width - inset.right, height - 3, 'end', 'now'),
    ),
  )
}

function note(text) {
  const node = document.createElement('p')
  node.className = 'hint'
  node.textContent = text
  return node
}
