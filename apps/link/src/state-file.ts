import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

import { AgentError } from '@agent/contracts'

import { State, type StateStore } from './state.ts'

const algorithm = 'aes-256-gcm'
const nonceBytes = 12
const tagBytes = 16

/** State in one file: AES-256-GCM, nonce and tag in front, mode 0600, replaced as a whole. */
export function createFileState(file: string, keyFile: string): StateStore {
  async function readKey(): Promise<Buffer | undefined> {
    const text = await readIfThere(keyFile)
    if (text === undefined) return undefined
    const key = Buffer.from(text.toString('utf8').trim(), 'base64url')
    if (key.length === 32) return key
    throw new AgentError(
      'config-invalid',
      `PIPEOPS_STATE_KEY_FILE: ${keyFile} holds no 256-bit key`,
    )
  }

  return {
    async load() {
      const sealed = await readIfThere(file)
      if (sealed === undefined) return undefined
      const plain = readPlain(sealed)
      if (plain !== undefined) return plain
      const key = await readKey()
      if (key === undefined) {
        throw new AgentError(
          'config-invalid',
          `PIPEOPS_STATE_KEY_FILE: ${keyFile} is gone, ${file} is not`,
        )
      }
      try {
        return State.parse(JSON.parse(open(key, sealed)))
      } catch (cause) {
        throw new AgentError('config-invalid', `PIPEOPS_STATE_FILE: ${file} cannot be decrypted`, {
          cause,
        })
      }
    },
    async claim(state) {
      await this.save(state)
      return state
    },
    async save(state) {
      await mkdir(dirname(file), { recursive: true, mode: 0o700 })
      let key = await readKey()
      if (key === undefined) {
        key = randomBytes(32)
        await writeFile(keyFile, key.toString('base64url'), { mode: 0o600, flag: 'wx' })
      }
      const draft = `${file}.${process.pid}.new`
      await writeFile(draft, seal(key, JSON.stringify(state)), { mode: 0o600 })
      await rename(draft, file)
    },
  }
}

/** The plain JSON file of earlier agents; its next save encrypts it. */
function readPlain(bytes: Buffer): State | undefined {
  if (bytes[0] !== 0x7b) return undefined
  try {
    const old = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>
    return State.parse({
      agentId: old['agent_id'],
      clusterId: old['cluster_id'] ?? null,
      clusterToken: old['cluster_token'] ?? null,
    })
  } catch {
    return undefined
  }
}

function seal(key: Buffer, text: string): Buffer {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv(algorithm, key, nonce)
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), body])
}

function open(key: Buffer, sealed: Buffer): string {
  const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, nonceBytes))
  decipher.setAuthTag(sealed.subarray(nonceBytes, nonceBytes + tagBytes))
  const body = sealed.subarray(nonceBytes + tagBytes)
  return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8')
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new AgentError('config-invalid', `cannot read ${file}`, { cause })
  }
}
