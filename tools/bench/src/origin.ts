import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { userInfo } from 'node:os'
import { join } from 'node:path'

import { createChildren, freePorts } from '@agent/cluster'

import type { StartGenerator } from './generator.ts'
import type { ProcessRef } from './processes.ts'
import type { Programs } from './programs.ts'
import { untilListening } from './ready.ts'

/** A path below the origin, and what comes back. */
export type Body = { path: string; bytes: number; crc: number }

/** Where every contender's requests end: something that looks like an API server. */
export type Origin = AsyncDisposable & {
  host: string
  port: number
  caFile: string
  /** What direct clients and the SSH tunnel's prove themselves with. */
  credentials: { certPem?: string; keyPem?: string }
  /** What the agent proves itself with. */
  agentTokenFile: string
  /** False where the cipher is the origin's own choice. */
  isOurs: boolean
  processes: ProcessRef[]
}

/** nginx: the cheapest origin there is, so that it is not what is measured. */
export type NginxOrigin = Origin & {
  small: Body
  bodies: { '100m': Body; '1g': Body }
  uploadPath: string
  eventsPath: string
  /** Events on all open watches, or silence. */
  setEvents(isOn: boolean): Promise<void>
}

const configMaps = '/api/v1/namespaces/default/configmaps'
const sizes = { small: 1_024, '100m': 100_000_000, '1g': 1_000_000_000 } as const

/** Starts nginx as a child, with a certificate and files of its own, and a helper for uploads and watches behind it. */
export async function startNginx(options: {
  dir: string
  /** Where the files are kept from run to run. */
  filesDir: string
  programs: Programs
  startGenerator: StartGenerator
  /** All interfaces only inside a network namespace. */
  host: string
  progress: (message: string) => void
}): Promise<NginxOrigin> {
  const { dir, filesDir, programs, startGenerator, host, progress } = options
  await using scope = new AsyncDisposableStack()
  const nginxDir = join(dir, 'nginx')
  await mkdir(filesDir, { recursive: true })
  await mkdir(nginxDir, { recursive: true })
  await using certs = await startGenerator({
    mode: 'certs',
    dir: nginxDir,
    hosts: ['127.0.0.1', 'localhost', '10.99.0.1', '10.99.0.2'],
  })
  await certs.go()
  progress('writing the files to serve …')
  const checksums = {
    small: await fill(startGenerator, filesDir, 'small'),
    '100m': await fill(startGenerator, filesDir, '100m'),
    '1g': await fill(startGenerator, filesDir, '1g'),
  }
  const body = (size: keyof typeof sizes): Body => ({
    path: `${configMaps}/${size}`,
    bytes: sizes[size],
    crc: checksums[size],
  })

  const socket = join(nginxDir, 'helper.sock')
  await rm(socket, { force: true })
  const helper = scope.use(await startGenerator({ mode: 'origin', file: socket }))
  const [port] = (await freePorts(1)) as [number]
  const configFile = join(nginxDir, 'nginx.conf')
  await writeFile(configFile, config({ nginxDir, filesDir, socket, host, port }))
  const children = scope.use(await createChildren(nginxDir))
  const nginx = await children.start(
    'nginx',
    programs.nginx,
    ['-p', nginxDir, '-c', configFile, '-e', join(nginxDir, 'error.log')],
    programs.env,
  )
  await untilListening(port, 'nginx', () => children.tail('nginx'))
  const agentTokenFile = join(nginxDir, 'agent-token')
  await writeFile(agentTokenFile, 'nginx-checks-no-token', { mode: 0o600 })

  const owned = scope.move()
  return {
    host: '127.0.0.1',
    port,
    caFile: join(nginxDir, 'ca.crt'),
    credentials: {},
    agentTokenFile,
    isOurs: true,
    processes: [
      { name: 'nginx', pid: nginx.pid as number, side: 'origin' },
      { name: 'helper', pid: helper.pid, side: 'origin' },
    ],
    small: body('small'),
    bodies: { '100m': body('100m'), '1g': body('1g') },
    uploadPath: `${configMaps}/upload`,
    eventsPath: `${configMaps}?watch=1`,
    setEvents: (isOn) => control(socket, isOn ? '/control/on' : '/control/off'),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** Writes a file once; its content is the same every time, and its checksum lies beside it. */
async function fill(
  startGenerator: StartGenerator,
  dir: string,
  size: keyof typeof sizes,
): Promise<number> {
  const file = join(dir, size)
  const sumFile = `${file}.crc`
  const kept = Number(await readFile(sumFile, 'utf8').catch(() => 'none'))
  const keptBytes = await stat(file).then(
    ({ size: bytes }) => bytes,
    () => -1,
  )
  if (kept >= 0 && keptBytes === sizes[size]) return kept
  await using filler = await startGenerator({
    mode: 'fill',
    file,
    bytes: sizes[size],
  })
  const { crc } = await filler.go()
  await writeFile(sumFile, String(crc))
  return crc as number
}

function control(socketPath: string, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, path, method: 'POST', timeout: 5_000 }, (response) => {
      response.resume()
      response.once('end', resolve)
    })
    asking.once('error', reject)
    asking.once('timeout', () => asking.destroy(new Error('the origin’s helper hangs')))
    asking.end()
  })
}

function config(options: {
  nginxDir: string
  filesDir: string
  socket: string
  host: string
  port: number
}): string {
  const { nginxDir, filesDir, socket, host, port } = options
  const { username, uid } = userInfo()
  const helper = `http://unix:${socket}:`
  const emptyList = '{"kind":"List","metadata":{"resourceVersion":"1"},"items":[]}'
  const counted = (resource: string): string => `
    location = /api/v1/${resource} {
      if ($arg_watch) { rewrite ^ /quiet last; }
      return 200 '${emptyList}';
    }`
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${nginxDir}/${name};`)
    .join(' ')
  return `
daemon off;
worker_processes 2;
${uid === 0 ? `user ${username};` : ''}
pid ${nginxDir}/nginx.pid;
events { worker_connections 8192; }
http {
  access_log off;
  ${temporary}
  default_type application/json;
  sendfile on;
  tcp_nodelay on;
  open_file_cache max=16;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  send_timeout 3600s;
  client_max_body_size 0;
  proxy_http_version 1.1;
  proxy_buffering off;
  proxy_request_buffering off;
  proxy_read_timeout 3600s;
  server {
    listen ${host}:${port} ssl backlog=4096;
    ssl_certificate ${nginxDir}/origin.crt;
    ssl_certificate_key ${nginxDir}/origin.key;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_session_tickets off;
    location = /readyz { return 200 ok; }
    location = /version { return 200 '{"gitVersion":"v1.34.4"}'; }${counted('nodes')}${counted('pods')}
    location = /quiet { internal; proxy_pass ${helper}/quiet; }
    location = ${configMaps} { proxy_pass ${helper}/events; }
    location = ${configMaps}/upload { proxy_pass ${helper}/upload; }
    location ${configMaps}/ { alias ${filesDir}/; }
    location / { return 404 '{"kind":"Status","code":404}'; }
  }
}
`
}
