import { $ } from './dom.js'

const maxLogLines = 2_000
let logSource

/** Makes the log viewer work. */
export function startLogViewer() {
  $('logs-form').addEventListener('submit', (submitted) => {
    submitted.preventDefault()
    followLogs()
  })
  $('logs-form').elements.source.addEventListener('change', chooseLogs)
  $('logs-stop').addEventListener('click', () => stopLogs('Stopped.'))
}

function chooseLogs() {
  const isPod = $('logs-form').elements.source.value === 'pod'
  for (const field of document.querySelectorAll('#logs-form .pod')) field.hidden = !isPod
  for (const field of document.querySelectorAll('#logs-form .own')) field.hidden = isPod
}

function followLogs() {
  stopLogs('')
  const fields = Object.fromEntries(new FormData($('logs-form')))
  const isPod = fields.source === 'pod'
  const given = isPod
    ? {
        namespace: fields.namespace,
        pod: fields.pod,
        container: fields.container,
        grep: fields.grep,
      }
    : { sidecar: fields.source, level: fields.level, grep: fields.grep }
  const query = new URLSearchParams(Object.entries(given).filter(([, value]) => value !== ''))
  if (isPod && !(query.has('namespace') && query.has('pod'))) {
    $('logs-state').textContent = 'Name a namespace and a pod.'
    return
  }
  $('logs').textContent = ''
  $('logs-state').textContent = 'Opening …'
  $('logs-stop').disabled = false
  const source = new EventSource(`api/realtime/logs?${query}`)
  logSource = source
  source.addEventListener(
    'open',
    () => ($('logs-state').textContent = 'Following; new lines come at the end.'),
  )
  source.addEventListener('log', ({ data }) => addLogLine(JSON.parse(data)))
  source.addEventListener('gap', ({ data }) =>
    addLogLine({ line: `… ${JSON.parse(data).missed} lines are missing here …` }),
  )
  source.addEventListener('problem', ({ data }) => {
    const { message, advice } = JSON.parse(data)
    stopLogs(`${message}. ${advice}`)
  })
  source.addEventListener('end', () => stopLogs('The log ended.'))
  source.addEventListener('error', () => {
    if (logSource !== source) return
    stopLogs('')
    whyNot(query).then(
      (text) => ($('logs-state').textContent = text),
      () => {},
    )
  })
}

/** An EventSource does not tell why it ended; asking once more does. */
async function whyNot(query) {
  query.set('follow', 'false')
  const abort = new AbortController()
  const response = await fetch(`api/realtime/logs?${query}`, { signal: abort.signal }).catch(
    () => undefined,
  )
  const body = response?.ok ? undefined : await response?.json().catch(() => undefined)
  abort.abort()
  return body?.error
    ? `${body.error.message}. ${body.error.advice}`
    : 'The connection ended. Follow again to go on.'
}

function stopLogs(text) {
  logSource?.close()
  logSource = undefined
  $('logs-stop').disabled = true
  if (text !== '') $('logs-state').textContent = text
}

function addLogLine({ sidecar, line }) {
  const pane = $('logs')
  const isAtEnd = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 40
  pane.append(`${sidecar ? `${sidecar.padEnd(8)} ` : ''}${line}\n`)
  while (pane.childNodes.length > maxLogLines) pane.firstChild.remove()
  if (isAtEnd) pane.scrollTop = pane.scrollHeight
}
