import { createHash, randomBytes } from 'node:crypto'

/** A new 256-bit secret with a prefix that tells people and scanners what it is. */
export function createSecret(prefix: 'pat' | 'pag'): string {
  return `${prefix}_${randomBytes(32).toString('base64url')}`
}

/** SHA-256 as hex: enough for secrets of full entropy, and all that is ever stored. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/** A short public name for a stored secret. */
export function createTokenId(): string {
  return randomBytes(6).toString('hex')
}

/** The secret of an `Authorization: Bearer` header; undefined where there is none. */
export function bearerOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.slice(0, 7).toLowerCase() !== 'bearer ')
    return undefined
  return authorization.slice(7).trim() || undefined
}
