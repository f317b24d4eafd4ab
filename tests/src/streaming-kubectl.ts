import { execFile, spawn } from 'node:child_process'
import { promisify } from 'node:util'

import { eventually } from '@agent/testing'

import type { System } from './system.ts'

const run = promisify(execFile)

/** Over what kubectl streams, and whether the tunnel is in between. */
export type Way = { via: 'tunnel' | 'direct'; websockets: 'true' | 'false' }

/** What a command printed, and its exit code. */
export type Ran = { stdout: Buffer; stderr: string; code: number | null }

/** Runs kubectl to its end. */
export function runKubectl(system: System, way: Way, args: string[], input?: Buffer): Promise<Ran> {
  const { child, done } = startKubectl(system, way, args)
  child.stdin.end(input)
  return done
}

/** Starts kubectl; whoever calls this ends it. */
export function startKubectl(system: System, { via, websockets }: Way, args: string[]) {
  const kubeconfig = via === 'tunnel' ? system.stack.kubeconfig : system.cluster.adminKubeconfig
  const child = spawn(system.cluster.kubectl, ['--kubeconfig', kubeconfig, ...args], {
    env: {
      ...process.env,
      HOME: system.dir,
      KUBECTL_REMOTE_COMMAND_WEBSOCKETS: websockets,
      KUBECTL_PORT_FORWARD_WEBSOCKETS: websockets,
    },
    timeout: 60_000,
  })
  const out: Buffer[] = []
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  child.stdin.on('error', () => {})
  const stdout = (): Buffer => Buffer.concat(out)
  const done = new Promise<Ran>((resolve) => {
    child.once('close', (code) => resolve({ stdout: stdout(), stderr, code }))
  })
  return { child, done, stdout }
}

/** kubectl with a terminal of its own, which script(1) makes. */
export function startTerminal(system: System, { via, websockets }: Way, command: string) {
  const kubeconfig = via === 'tunnel' ? system.stack.kubeconfig : system.cluster.adminKubeconfig
  const line = `tty; exec ${system.cluster.kubectl} --kubeconfig ${kubeconfig} ${command}`
  const child = spawn('script', ['-qec', line, '/dev/null'], {
    env: {
      ...process.env,
      HOME: system.dir,
      KUBECTL_REMOTE_COMMAND_WEBSOCKETS: websockets,
    },
    timeout: 30_000,
  })
  child.stdin.on('error', () => {})
  let text = ''
  child.stdout.on('data', (chunk) => (text += chunk))
  const done = new Promise<{ code: number | null }>((resolve) => {
    child.once('close', (code) => resolve({ code }))
  })
  return {
    child,
    done,
    output: () => text,
    /** As a terminal window does: the kernel then signals whoever is in its foreground. */
    async resize(columns: number, rows: number): Promise<void> {
      const device = /\/dev\/\S+/.exec(text)?.[0] ?? ''
      await run('stty', ['-F', device, 'cols', String(columns), 'rows', String(rows)])
    },
  }
}

/** Types a line again and again, because what comes before a shell listens is lost. */
export async function typeUntil(child: Typist, line: string, isSeen: () => boolean): Promise<void> {
  child.stdin.write(line)
  const again = setInterval(() => child.stdin.write(line), 500)
  await eventually(isSeen, { deadlineMs: 15_000, what: 'what was typed' }).finally(() =>
    clearInterval(again),
  )
}
/** Whatever has a stdin. */
export type Typist = { stdin: { write(text: string): unknown } }
