import { drawBeats, drawLines } from './charts.js'
import { $, ago, ask, badge, clientMs, count, make, measureClient } from './dom.js'
import { startLogViewer } from './logs.js'
import { drawPath } from './path.js'

const maxEvents = 300
const historyMs = 5_000
const retryMs = { least: 1_000, most: 15_000 }

let snapshot

function showStatus(now) {
  snapshot = now
  const { agent, ready, reason, since, cluster, streams, heartbeat, hops } = now
  $('who').textContent = agent.clusterName
    ? `${agent.clusterName} · ${agent.controlPlane} · ${agent.id ?? 'no id yet'}`
    : 'The link sidecar has not said who this agent is.'
  document.title = `${ready ? '●' : '○'} ${agent.clusterName ?? 'PipeOps agent'}`
  $('state').dataset.state = ready
    ? 'ok'
    : hops.some(({ state }) => state === 'down')
      ? 'down'
      : 'warn'
  $('state-title').textContent = ready
    ? whatIsReady(now)
    : now.connected
      ? 'Connected, but not working'
      : 'Not connected'
  $('state-text').textContent = `${ready ? 'For' : `${reason} For`} ${ago(since)}.`
  drawPath($('path'), hops, clientMs)
  showCluster(cluster)
  $('beats-text').textContent =
    heartbeat.last === null
      ? 'The control plane has not acknowledged one yet.'
      : `Last one ${ago(heartbeat.last)} ago${heartbeat.ok ? `, ${heartbeat.durationMs} ms` : ', not acknowledged'}; ${heartbeat.missedLastHour} of ${heartbeat.lastHour} missed.`
  $('streams-text').textContent =
    `${count(streams.open, 'stream')} open on ${count(streams.connections, 'connection')}, ${count(streams.requests, 'request')} so far.`
  showSidecars(now.sidecars)
  showForwards(now)
}

/** Ready is what this installation runs; without a proxy that is no more than the control connection. */
function whatIsReady({ connected, hops }) {
  const carries = hops.some(({ id, state }) => id === 'proxy' && state !== 'off')
  if (carries) return 'Connected and carrying requests'
  return connected ? 'Connected; requests are turned off here' : 'The agent is turned off here'
}

function showCluster(cluster) {
  const facts =
    cluster === null
      ? [['Nodes and pods', 'known with link’s first report']]
      : [
          ['Nodes', cluster.nodes],
          ['Pods', cluster.pods],
          ['Kubernetes', cluster.kubernetesVersion],
          ['CPU', cluster.cpuUsage ?? 'no metrics API'],
          ['Memory', cluster.memoryUsage ?? 'no metrics API'],
        ]
  $('cluster').replaceChildren(
    ...facts.map(([name, value]) => {
      const fact = document.createElement('div')
      fact.append(make('dt', name), make('dd', value ?? 'unknown'))
      return fact
    }),
  )
}

function showSidecars(sidecars) {
  if (sidecars.length === 0) return
  $('sidecars').replaceChildren(
    ...sidecars.map(({ sidecar, instance, state, reason, since, lastSeen, isLost, version }) => {
      const row = document.createElement('tr')
      const name = make('th', sidecar, { scope: 'row' })
      name.append(make('div', instance, { className: 'hint' }))
      const cell = document.createElement('td')
      const shown = isLost ? 'down' : state === 'ok' ? 'ok' : state === 'failed' ? 'down' : 'warn'
      cell.append(badge(isLost ? 'silent' : state, shown))
      const words = isLost ? `last heard ${ago(lastSeen)} ago` : reason
      if (words !== '') cell.append(make('div', words, { className: 'hint' }))
      row.append(name, cell, make('td', ago(isLost ? lastSeen : since)), make('td', version))
      return row
    }),
  )
}

function showForwards({ sidecars, streams }) {
  const has = (name) => sidecars.some(({ sidecar, isLost }) => sidecar === name && !isLost)
  const lines = [
    `${count(streams.forwards, 'port-forward')} open through kubectl.`,
    has('tunnel') ? '' : 'TCP and UDP forwards: the tunnel sidecar does not run in this pod.',
    has('routes') ? '' : 'Routes: the routes sidecar does not run in this pod.',
  ]
  $('forwards').textContent = lines.filter(Boolean).join(' ')
}

async function showFeatures() {
  const { features } = await ask('api/status/features')
  $('features').replaceChildren(
    ...features.map(({ name, enabled, negotiated, reason }) => {
      const item = make('li', '')
      const state = enabled && negotiated !== false ? 'ok' : enabled ? 'warn' : 'unknown'
      const words = enabled ? (negotiated === false ? 'on, not agreed' : 'on') : 'off'
      item.append(badge(words, state), ` ${name}`)
      if (reason !== '') item.append(make('div', reason, { className: 'hint' }))
      return item
    }),
  )
}

async function showHistory() {
  await measureClient()
  const { points, heartbeats } = await ask('api/metrics/history')
  drawBeats($('beats'), heartbeats)
  drawLines($('traffic'), {
    points,
    what: 'Throughput',
    format: bytes,
    series: [
      { name: 'in', of: (point) => point.bytesInPerSecond },
      { name: 'out', of: (point) => point.bytesOutPerSecond },
    ],
  })
  drawLines($('streams'), {
    points,
    what: 'Open streams',
    format: (value) => String(Math.round(value)),
    series: [{ name: 'in', of: (point) => point.streams }],
  })
  if (snapshot !== undefined) drawPath($('path'), snapshot.hops, clientMs)
}

function bytes(value) {
  if (value < 1_000) return `${Math.round(value)} B/s`
  return value < 1e6 ? `${(value / 1e3).toFixed(1)} kB/s` : `${(value / 1e6).toFixed(1)} MB/s`
}

function addEvent({ time, sidecar, level, text }) {
  const list = $('events')
  list.querySelector('.empty')?.remove()
  const item = make('li', '')
  const state = level === 'info' ? 'ok' : level === 'warn' ? 'warn' : 'down'
  item.append(
    make('time', new Date(time).toLocaleTimeString(), { dateTime: time }),
    badge(sidecar, state),
    ` ${text}`,
  )
  list.prepend(item)
  while (list.children.length > maxEvents) list.lastElementChild.remove()
}

/** Live events and status; where they are turned off, asks every few seconds instead. */
function followEvents(lastEventId, waitMs = retryMs.least) {
  const query = new URLSearchParams({ status: 'true' })
  if (lastEventId !== undefined) query.set('lastEventId', lastEventId)
  const source = new EventSource(`api/realtime/events?${query}`)
  let last = lastEventId
  let wait = waitMs
  source.addEventListener('open', () => {
    wait = retryMs.least
    showLive('ok', 'Live')
  })
  source.addEventListener('status', ({ data }) => showStatus(JSON.parse(data)))
  source.addEventListener('event', ({ data }) => {
    const event = JSON.parse(data)
    last = event.id
    addEvent(event)
  })
  source.addEventListener('gap', ({ data }) => {
    const { missed } = JSON.parse(data)
    addEvent({
      time: new Date().toISOString(),
      sidecar: 'console',
      level: 'warn',
      text: `${missed} events were missed`,
    })
  })
  source.addEventListener('error', () => {
    // The browser would retry at once and for ever; we say what is going on, and wait longer each time.
    source.close()
    showLive('down', 'The console does not answer; trying again …')
    ask('api/health/detailed').then(
      (now) => {
        showStatus(now)
        // It answers, so live updates are turned off, or all their places are taken.
        showLive('warn', 'No live updates; asking again and again')
      },
      () => {},
    )
    setTimeout(() => followEvents(last, Math.min(wait * 2, retryMs.most)), wait)
  })
}

function showLive(state, text) {
  $('live').dataset.state = state
  $('live').textContent = text
}

async function testConnectivity() {
  const button = $('test')
  const result = $('test-result')
  button.disabled = true
  result.replaceChildren(make('p', 'Testing …'))
  try {
    const { verdict, brokenHop, advice, steps, durationMs } = await ask('api/status/connectivity')
    const title =
      verdict === 'ok'
        ? `Everything works (${durationMs} ms).`
        : verdict === 'warn'
          ? `It works, with a remark. ${advice}`
          : `Broken at: ${brokenHop}. ${advice}`
    const list = document.createElement('ol')
    list.className = 'steps'
    list.append(...steps.map(stepItem))
    const state = verdict === 'fail' ? 'down' : verdict
    result.replaceChildren(make('p', title, { className: 'verdict', state }), list)
  } catch (error) {
    result.replaceChildren(make('p', error.message, { className: 'verdict', state: 'down' }))
  } finally {
    button.disabled = false
  }
}

function stepItem({ name, verdict, durationMs, text, advice }) {
  const states = { ok: 'ok', warn: 'warn', fail: 'down', skip: 'unknown' }
  const item = document.createElement('li')
  const words = make('span', text, { className: 'words' })
  if (advice !== '') words.append(make('div', advice, { className: 'hint' }))
  item.append(
    badge(verdict, states[verdict]),
    make('b', name),
    words,
    make('span', `${durationMs} ms`, { className: 'ms' }),
  )
  return item
}

/** Runs a task now and again, one at a time. */
function repeat(task, ms) {
  const turn = () =>
    task()
      .catch(() => {})
      .finally(() => setTimeout(turn, ms))
  turn()
}

$('test').addEventListener('click', () => void testConnectivity())
startLogViewer()
ask('version').then(
  ({ version, commit }) => ($('version').textContent = `Version ${version} (${commit})`),
  () => {},
)
ask('api/health/detailed').then(showStatus, (error) => showLive('down', error.message))
repeat(showHistory, historyMs)
repeat(showFeatures, historyMs * 3)
setInterval(() => snapshot && showStatus(snapshot), 10_000)
followEvents()
