import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { PassThrough, Writable } from 'node:stream'

import { eventually } from '@agent/testing'
import { Attach, Exec, KubeConfig, PortForward, type V1Status } from '@kubernetes/client-node'
import { describe, expect, test } from 'vitest'

import { typeUntil } from './streaming-kubectl.ts'
import type { System } from './system.ts'

/** What @kubernetes/client-node does with streams, on a whole node with the pods of the streaming matrix. */
export function describeClientNode(isSkipped: boolean, getSystem: () => System): void {
  describe.skipIf(isSkipped).each(['tunnel', 'direct'] as const)(
    '@kubernetes/client-node, %s',
    (via) => {
      const kubeconfig = (): string =>
        via === 'tunnel' ? getSystem().stack.kubeconfig : getSystem().cluster.adminKubeconfig

      function client(): KubeConfig {
        const config = new KubeConfig()
        config.loadFromFile(kubeconfig())
        return config
      }

      async function exec(
        command: string[],
        options: { tty?: boolean; stdin?: PassThrough; size?: [number, number] } = {},
      ) {
        const out = new Collector()
        const err = new Collector()
        if (options.size !== undefined) [out.columns, out.rows] = options.size
        const status = Promise.withResolvers<V1Status>()
        const socket = await new Exec(client()).exec(
          'default',
          'box',
          'box',
          command,
          out,
          err,
          options.stdin ?? null,
          options.tty ?? false,
          status.resolve,
        )
        return { out, err, status: status.promise, socket }
      }

      test('exec: stdout, stderr and the exit code', async () => {
        const { out, err, status } = await exec(['sh', '-c', 'echo a; echo b >&2; exit 5'])
        const { status: verdict, details } = await status
        expect([out.text, err.text, verdict]).toEqual(['a\n', 'b\n', 'Failure'])
        expect(details?.causes?.[0]?.message).toBe('5')
      })

      test('exec: stdin and its end', async () => {
        const stdin = new PassThrough()
        const { out, status } = await exec(['cat'], { stdin })
        stdin.end('through and through')
        expect((await status).status).toBe('Success')
        expect(out.text).toBe('through and through')
      })

      test('a resized terminal reaches the process', async () => {
        const stdin = new PassThrough()
        const { out, socket } = await exec(['sh'], { tty: true, stdin, size: [80, 24] })
        out.columns = 132
        out.rows = 43
        out.emit('resize')
        try {
          await eventually(
            () => {
              stdin.write('stty size\n')
              return out.text.includes('43 132')
            },
            { deadlineMs: 10_000, what: 'the new size' },
          )
        } finally {
          socket.close()
        }
      })

      test('attach, without and with a terminal', async () => {
        for (const [pod, answer] of [
          ['echo', 'got '],
          ['terminal', ''],
        ] as const) {
          const isTerminal = pod === 'terminal'
          const word = randomBytes(4).toString('hex')
          const out = new Collector()
          const stdin = new PassThrough()
          const socket = await new Attach(client()).attach(
            ...(['default', pod, pod, out, out, stdin, isTerminal] as const),
          )
          const line = isTerminal ? `echo is a \\terminal ${word}\r` : `${word}\n`
          const wanted = isTerminal ? `is a terminal ${word}` : `${answer}${word}`
          try {
            await typeUntil({ stdin }, line, () => out.text.includes(wanted))
          } finally {
            socket.close()
          }
        }
      })

      test('port-forward: a request in, an answer out, and another on a second connection', async () => {
        for (let turn = 0; turn < 2; turn++) {
          const out = new Collector()
          const stdin = new PassThrough()
          const socket = await new PortForward(client()).portForward(
            'default',
            'box',
            [8080],
            out,
            null,
            stdin,
          )
          stdin.write('GET / HTTP/1.0\r\nHost: box\r\n\r\n')
          try {
            await eventually(() => out.text.includes('hello from a real container\n'), {
              deadlineMs: 10_000,
              what: 'the answer',
            })
          } finally {
            if (typeof socket === 'function') socket()?.close()
            else socket.close()
          }
        }
      })

      test('logs: the end of them, and line by line as they come', async () => {
        const some = startLogs(kubeconfig(), { tailLines: 2 })
        await once(some.child, 'close')
        expect(some.text()).toMatch(/^line \d+\nline \d+\n$/)
        const all = startLogs(kubeconfig(), { tailLines: 1, follow: true })
        try {
          await eventually(() => all.text().split('\n').length > 5, {
            deadlineMs: 10_000,
            what: 'five lines',
          })
        } finally {
          all.child.kill('SIGKILL')
          await once(all.child, 'close')
        }
      })
    },
  )
}

class Collector extends Writable {
  text = ''
  columns = 80
  rows = 24
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('utf8')
    done()
  }
}

/** In a process of its own: the library's Log cannot be aborted without an uncaught error, and pools its connections. */
function startLogs(kubeconfig: string, options: object) {
  const script = `
    import { KubeConfig, Log } from '@kubernetes/client-node'
    const config = new KubeConfig()
    config.loadFromFile(process.argv[1])
    await new Log(config).log('default', 'box', 'box', process.stdout, JSON.parse(process.argv[2]))`
  const child = spawn(
    process.execPath,
    ['--input-type=module', '--eval', script, kubeconfig, JSON.stringify(options)],
    { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'], timeout: 30_000 },
  )
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')))
  return { child, text: () => text }
}
